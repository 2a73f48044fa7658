//! What is known to be left of sessions that hold their items: written by the watch that looks
//! after it, read when a user asks why.

use std::collections::BTreeMap;
use std::sync::Mutex;

use antiphon_core::coordination::Blocked;
use antiphon_core::id::SessionId;

use crate::locked::locked;

/// What is left, by session. The lock is held for a look-up, never over an await.
#[derive(Debug, Default)]
pub(crate) struct Leftovers(Mutex<BTreeMap<SessionId, Vec<String>>>);

impl Leftovers {
    /// Notes what was found; returns whether that is news.
    pub(crate) fn note(&self, session: &SessionId, left: &[String]) -> bool {
        locked(&self.0).insert(session.clone(), left.to_vec()).is_none_or(|before| before != left)
    }

    pub(crate) fn forget(&self, session: &SessionId) {
        locked(&self.0).remove(session);
    }

    /// Says of each item that is held back what by.
    pub(crate) fn explain(&self, reasons: &mut [Blocked]) {
        for reason in reasons {
            if let Blocked::AwaitingCleanup { session, left } = reason {
                *left = locked(&self.0).get(session).cloned().unwrap_or_default();
            }
        }
    }
}
