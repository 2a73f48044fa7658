//! Following a stream under a name: the ledger remembers how far the reader is done, across
//! restarts.

use antiphon_core::envelope::Recorded;
use antiphon_core::id::{CoordinationId, StreamName, Version};

use crate::ledger::{Cursor, MAX_CURSOR_NAME_BYTES};
use crate::mailbox::{Handle, QueryError, ReaderError, Unavailable};
use crate::subscription::Subscription;

/// A named reader of one run's events.
///
/// It begins after the last event that was acknowledged under its name. While it lives, each event
/// comes once; what was not acknowledged before it went away comes again, so events are seen at
/// least once across restarts. They come as they were recorded, like those of a [`Subscription`].
#[derive(Debug)]
pub struct Reader {
    name: String,
    events: Subscription,
    acknowledged: Version,
}

impl Reader {
    pub(super) async fn open(
        handle: &Handle,
        name: &str,
        id: &CoordinationId,
    ) -> Result<Self, ReaderError> {
        if name.is_empty() || name.len() > MAX_CURSOR_NAME_BYTES {
            return Err(ReaderError::Name { length: name.len() });
        }
        let own = name.to_owned();
        let cursor =
            handle.read(move |store| store.cursor(&own)).await.map_err(QueryError::from)?;
        let acknowledged = match cursor {
            None => Version(0),
            Some(cursor) if cursor.stream == StreamName::Coordination(id.clone()) => cursor.version,
            Some(cursor) => {
                return Err(ReaderError::Taken { name: name.to_owned(), stream: cursor.stream });
            }
        };
        let events = handle.follow(id, acknowledged).await?;
        Ok(Self { name: name.to_owned(), events, acknowledged })
    }

    /// The next event; waits for it. `None` after the event that ends the coordination, or when the
    /// engine has stopped.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<Recorded>, Unavailable> {
        self.events.next().await
    }

    /// Says that all events up to the last one it was given are dealt with; they do not come again
    /// under this name. Returns once that is durable; it shares the commit of what is being
    /// recorded at the time.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger takes nothing in; the events come again then.
    pub async fn acknowledge(&mut self) -> Result<(), Unavailable> {
        let version = self.events.position();
        if version == self.acknowledged {
            return Ok(());
        }
        let stream = self.events.stream().clone();
        self.events
            .handle()
            .acknowledge(Cursor { name: self.name.clone(), stream, version })
            .await?;
        self.acknowledged = version;
        Ok(())
    }

    /// The version of the last event that is acknowledged, or 0.
    #[must_use]
    pub fn acknowledged(&self) -> Version {
        self.acknowledged
    }
}
