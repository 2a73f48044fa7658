//! The state of the ledger's own stream.

use super::event::LedgerEvent;
use crate::digest::Digest;
use crate::envelope::{Meta, StreamTip};
use crate::id::{Epoch, OutOfOrder, StreamName, Version};
use crate::live::Aggregate;
use crate::schema::{AggregateEvent as _, Unreadable};
use crate::time::{ClockRegression, LedgerTime, WallTime};

/// Whose ledger it is and what happened to it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerStream {
    id: Digest,
    epoch: Option<Epoch>,
    version: Version,
    started: Option<WallTime>,
    changed: (LedgerTime, WallTime),
    open: bool,
}

/// Why an event cannot follow in the ledger's stream. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum LedgerStreamError {
    /// The event cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    OutOfOrder(#[from] OutOfOrder),
    #[error(transparent)]
    ClockRegression(#[from] ClockRegression),
    /// The stream begins with another event.
    #[error("a ledger begins with ledger.opened, not with {kind}")]
    NotOpened {
        /// The type of the event.
        kind: &'static str,
    },
    /// It was opened as another ledger.
    #[error("it is ledger {actual}, and the stream is that of {expected}")]
    AnotherLedger {
        /// The ledger of this stream.
        expected: Digest,
        /// The one in the event.
        actual: Digest,
    },
    /// It was opened under an epoch that is not above the last.
    #[error("epoch {actual} does not follow epoch {last}")]
    EpochNotAbove {
        last: Epoch,
        /// The one in the event.
        actual: Epoch,
    },
}

impl LedgerStream {
    /// The state that a head row tells of: enough to continue, without reading the stream.
    #[must_use]
    pub fn known(id: Digest, tip: StreamTip, started: Option<WallTime>) -> Self {
        Self {
            id,
            epoch: None,
            version: tip.version,
            started,
            changed: (LedgerTime(0), WallTime(0)),
            open: false,
        }
    }

    /// The ledger's random id.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The epoch under which it was last opened, as far as that was seen.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Whether an engine has it, or left it without giving it up.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Wall-clock time of its first event.
    #[must_use]
    pub fn started_at(&self) -> WallTime {
        self.started.unwrap_or(self.changed.1)
    }

    /// Ledger and wall-clock time of its last event.
    #[must_use]
    pub fn last_times(&self) -> (LedgerTime, WallTime) {
        self.changed
    }
}

impl Aggregate for LedgerStream {
    type Event = LedgerEvent;
    type Error = LedgerStreamError;

    fn begin(
        _stream: &StreamName,
        event: &LedgerEvent,
        meta: &Meta,
    ) -> Result<Self, LedgerStreamError> {
        let LedgerEvent::Opened(opened) = event else {
            return Err(LedgerStreamError::NotOpened { kind: event.kind() });
        };
        let mut begun = Self::known(opened.ledger, StreamTip::default(), None);
        begun.apply(event, meta)?;
        Ok(begun)
    }

    fn apply(&mut self, event: &LedgerEvent, meta: &Meta) -> Result<(), LedgerStreamError> {
        meta.version.follows(self.version)?;
        meta.at.not_before(self.changed.0)?;
        if let LedgerEvent::Opened(opened) = event {
            if opened.ledger != self.id {
                return Err(LedgerStreamError::AnotherLedger {
                    expected: self.id,
                    actual: opened.ledger,
                });
            }
            if let Some(last) = self.epoch.filter(|last| opened.epoch <= *last) {
                return Err(LedgerStreamError::EpochNotAbove { last, actual: opened.epoch });
            }
            self.epoch = Some(opened.epoch);
        }
        self.version = meta.version;
        self.started.get_or_insert(meta.wall);
        self.changed = (meta.at, meta.wall);
        self.open = !matches!(event, LedgerEvent::Closed(_));
        Ok(())
    }

    fn stream(&self) -> StreamName {
        StreamName::Ledger
    }

    fn version(&self) -> Version {
        self.version
    }

    fn last_at(&self) -> LedgerTime {
        self.changed.0
    }

    fn has_ended(&self) -> bool {
        false
    }
}
