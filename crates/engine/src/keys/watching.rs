//! Following the keys of a run.

use std::collections::VecDeque;

use antiphon_core::event::{AggregateEvent as _, CoordinationEvent};
use antiphon_core::id::{CoordinationId, Version};

use super::found::{Change, KeyRecord, changes, read_value};
use crate::mailbox::{Handle, QueryError, Unavailable};
use crate::subscription::Subscription;

/// The changes of keys of a run, each once and in order. Whoever lets go of it has left: nothing stays
/// behind.
#[derive(Debug)]
pub struct KeyChanges {
    events: Subscription,
    prefix: String,
    handle: Handle,
    /// Those of an event whose others were given out.
    waiting: VecDeque<Change>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.record.fmt(f)
    }
}

impl Handle {
    /// Follows the changes of keys of a run that begin so, after a version.
    pub(crate) async fn watch_keys(
        &self,
        run: &CoordinationId,
        prefix: &str,
        after: Version,
    ) -> Result<KeyChanges, QueryError> {
        let events = self.follow(run, after).await?;
        let (prefix, waiting) = (prefix.to_owned(), VecDeque::new());
        Ok(KeyChanges { events, prefix, handle: self.clone(), waiting })
    }
}

impl KeyChanges {
    /// The next change; waits for it, and may be given up and asked again without missing one. `None`
    /// once the run has ended, or the engine has stopped.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<KeyRecord>, Unavailable> {
        loop {
            if let Some(change) = self.waiting.front_mut() {
                if let Some(digest) = change.value {
                    let value = read_value(self.handle.blob(digest).await?);
                    (change.record.value, change.value) = (value, None);
                }
                return Ok(self.waiting.pop_front().map(|change| change.record));
            }
            let Some(event) = self.events.next().await? else { return Ok(None) };
            if let Ok(CoordinationEvent::KeySet(set)) = CoordinationEvent::of(&event) {
                self.waiting = changes(&event, set, &self.prefix).into();
            }
        }
    }

    /// The version up to which every change was given.
    #[must_use]
    pub fn position(&self) -> Version {
        match self.waiting.front() {
            Some(change) => Version(change.record.version.0.saturating_sub(1)),
            None => self.events.position(),
        }
    }
}
