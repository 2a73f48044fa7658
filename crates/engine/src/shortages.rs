//! Sessions that cannot start, or cannot go on, because their machine has no room for them now: who
//! starts or serves them notes it and tries again, and it is read when a user asks why.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use antiphon_core::coordination::Blocked;
use antiphon_core::id::SessionId;
use tokio::time::Instant;

use crate::locked::locked;

/// How long a session waits for room, unless the builder says otherwise.
pub(crate) const ROOM_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Time before the second try, and the longest between two later ones.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What sessions wait for, by session, and how long they may. The lock is held for a look-up, never
/// over an await.
#[derive(Debug)]
pub(crate) struct Shortages {
    delays: Mutex<BTreeMap<SessionId, String>>,
    within: Duration,
}

impl Default for Shortages {
    fn default() -> Self {
        Self::within(ROOM_WITHIN)
    }
}

impl Shortages {
    /// Nothing waits yet, and nothing will for longer than this.
    pub(crate) fn within(within: Duration) -> Self {
        Self { delays: Mutex::default(), within }
    }

    /// A session that tries again what there is no room for.
    pub(crate) fn wait_of<'a>(&'a self, session: &'a SessionId) -> RoomWait<'a> {
        RoomWait { session: Some(session), ..self.wait() }
    }

    /// The same of something that is no session's, which nobody is told of here.
    pub(crate) fn wait(&self) -> RoomWait<'_> {
        RoomWait { shortages: self, session: None, since: None, pause: AGAIN.0 }
    }

    /// Notes what a session waits for. It is logged when it is news: when no session waits for the
    /// same already.
    pub(crate) fn note(&self, session: &SessionId, what: &str) {
        let mut delays = locked(&self.delays);
        let is_news = delays.values().all(|known| known != what);
        delays.insert(session.clone(), what.to_owned());
        drop(delays);
        if is_news {
            tracing::warn!(run = %session.coordination, %session, what, "a session waits for room on this machine");
        }
    }

    /// A session that waited runs now.
    pub(crate) fn started(&self, session: &SessionId) {
        self.forget(session);
    }

    /// A session has ended.
    pub(crate) fn forget(&self, session: &SessionId) {
        locked(&self.delays).remove(session);
    }

    /// Says of each item whose session waits what for.
    pub(crate) fn explain(&self, reasons: &mut [Blocked]) {
        for reason in reasons {
            if let Blocked::Running { session, .. } = reason
                && let Some(what) = locked(&self.delays).get(session)
            {
                *reason = Blocked::AwaitingRoom { session: session.clone(), what: what.clone() };
            }
        }
    }

    /// What sessions wait for in all, in a sentence, if any does.
    pub(crate) fn told(&self) -> Option<String> {
        let delays = locked(&self.delays);
        let what = delays.values().next()?;
        Some(format!("sessions wait for room on this machine: {what}"))
    }
}

/// Somebody who waits for room. What a session waits for is noted until this is dropped.
#[derive(Debug)]
pub(crate) struct RoomWait<'a> {
    shortages: &'a Shortages,
    session: Option<&'a SessionId>,
    since: Option<Instant>,
    pause: Duration,
}

/// Why there is no further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitEnd {
    /// It is not wanted any more.
    Stopped,
    /// It has waited for so long, which is as long as it may.
    Over(Duration),
}

impl RoomWait<'_> {
    /// Whether something was in the way before.
    pub(crate) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Waits a moment before the next try, longer each time.
    pub(crate) async fn pause(
        &mut self,
        what: &str,
        stopped: impl Future<Output = ()>,
    ) -> Result<(), WaitEnd> {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited >= self.shortages.within {
            return Err(WaitEnd::Over(waited));
        }
        if let Some(session) = self.session {
            self.shortages.note(session, what);
        }
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = stopped => return Err(WaitEnd::Stopped),
        }
        self.pause = (self.pause * 2).min(AGAIN.1);
        Ok(())
    }
}

impl Drop for RoomWait<'_> {
    fn drop(&mut self) {
        if let (true, Some(session)) = (self.has_begun(), self.session) {
            self.shortages.forget(session);
        }
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
        assert_eq!(told.as_deref(), Some("sessions wait for room on this machine: no room"));
        shortages.started(&session);
        let mut reasons = [runs()];
        shortages.explain(&mut reasons);
        assert_eq!((reasons, shortages.told()), ([runs()], None));
    }
}
