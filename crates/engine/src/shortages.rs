//! Sessions that are to start and cannot, because their machine has no room for them now: written
//! by who starts them, read when a user asks why.

use std::collections::BTreeMap;
use std::sync::Mutex;

use antiphon_core::coordination::Blocked;
use antiphon_core::id::SessionId;

use crate::locked::locked;

/// What keeps sessions from starting, by session. The lock is held for a look-up, never over an
/// await.
#[derive(Debug, Default)]
pub(crate) struct Shortages(Mutex<BTreeMap<SessionId, String>>);

impl Shortages {
    /// Notes what a session waits for. It is logged when it is news: when no session waits for the
    /// same already.
    pub(crate) fn note(&self, session: &SessionId, what: &str) {
        let mut delays = locked(&self.0);
        let is_news = delays.values().all(|known| known != what);
        delays.insert(session.clone(), what.to_owned());
        drop(delays);
        if is_news {
            tracing::warn!(%session, what, "a session waits for room on this machine");
        }
    }

    /// A session that waited runs now.
    pub(crate) fn started(&self, session: &SessionId) {
        self.forget(session);
    }

    /// A session has ended.
    pub(crate) fn forget(&self, session: &SessionId) {
        locked(&self.0).remove(session);
    }

    /// Says of each item whose session waits what for.
    pub(crate) fn explain(&self, reasons: &mut [Blocked]) {
        for reason in reasons {
            if let Blocked::Running { session, .. } = reason
                && let Some(what) = locked(&self.0).get(session)
            {
                *reason = Blocked::AwaitingRoom { session: session.clone(), what: what.clone() };
            }
        }
    }

    /// What sessions wait for in all, in a sentence, if any does.
    pub(crate) fn told(&self) -> Option<String> {
        let delays = locked(&self.0);
        let what = delays.values().next()?;
        Some(format!("sessions wait to be started: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_until_it_runs() {
        let shortages = Shortages::default();
        let session: SessionId = "build.3".parse().unwrap();
        let runs = || Blocked::Running { session: "build.3".parse().unwrap(), attempt: 1 };
        assert!(shortages.told().is_none());
        shortages.note(&session, "no room");
        let mut reasons = [runs()];
        shortages.explain(&mut reasons);
        let what = "no room".to_owned();
        assert_eq!(reasons, [Blocked::AwaitingRoom { session: session.clone(), what }]);
        let told = shortages.told();
        assert_eq!(told.as_deref(), Some("sessions wait to be started: no room"));
        shortages.started(&session);
        let mut reasons = [runs()];
        shortages.explain(&mut reasons);
        assert_eq!((reasons, shortages.told()), ([runs()], None));
    }
}
