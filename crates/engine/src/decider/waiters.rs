//! Callers that wait for a coordination to end.

use std::collections::HashMap;

use antiphon_core::id::CoordinationId;
use tokio::sync::oneshot;

use crate::mailbox::{Ended, Unavailable};

type Reply = oneshot::Sender<Result<Option<Ended>, Unavailable>>;

/// Those who wait, by what they wait for.
#[derive(Default)]
pub(super) struct Waiters(HashMap<CoordinationId, Vec<Reply>>);

impl Waiters {
    pub(super) fn add(&mut self, id: CoordinationId, reply: Reply) {
        let waiting = self.0.entry(id).or_default();
        // A caller that waits for a while and asks again leaves nothing behind.
        waiting.retain(|other| !other.is_closed());
        waiting.push(reply);
    }

    /// Tells those who waited for it.
    pub(super) fn tell(&mut self, ended: &Ended) {
        for waiter in self.0.remove(&ended.run).unwrap_or_default() {
            // A caller that no longer waits is no error.
            let _ = waiter.send(Ok(Some(ended.clone())));
        }
    }

    /// Sends those away who wait for what is not live any more.
    pub(super) fn keep(&mut self, is_live: impl Fn(&CoordinationId) -> bool) {
        for (_, waiting) in self.0.extract_if(|id, _| !is_live(id)) {
            for waiter in waiting {
                let _ = waiter.send(Ok(None));
            }
        }
    }

    /// Refuses all of them: no end will be recorded any more.
    pub(super) fn refuse(&mut self, answer: &Unavailable) {
        for waiter in self.0.drain().flat_map(|(_, waiting)| waiting) {
            let _ = waiter.send(Err(answer.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_up_waiting_again_and_again_leaves_nothing_behind() {
        let (mut waiters, id) = (Waiters::default(), CoordinationId::new("build").unwrap());
        let (reply, mut stays) = oneshot::channel();
        waiters.add(id.clone(), reply);
        for _ in 0..100 {
            waiters.add(id.clone(), oneshot::channel().0);
        }
        assert_eq!(waiters.0[&id].len(), 2, "the one that stays, and the last that went");
        waiters.keep(|_| false);
        assert_eq!((matches!(stays.try_recv(), Ok(Ok(None))), waiters.0.len()), (true, 0));
    }
}
