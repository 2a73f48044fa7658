//! Everything that can be recorded: one row for each kind of stream, whose own table says what can
//! happen there.

pub use crate::coordination::event::*;
use crate::envelope::Recorded;
use crate::id::StreamName;
pub use crate::ledger::event::*;
pub use crate::schema::{AggregateEvent, DecodeError, Unreadable};

/// An event, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Of the `ledger` stream.
    Ledger(LedgerEvent),
    /// Of a coordination's stream.
    Coordination(CoordinationEvent),
}

impl Event {
    /// Every type there is, as recorded, in the order of the tables.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        [LedgerEvent::KINDS, CoordinationEvent::KINDS].into_iter().flatten().copied()
    }

    /// The recorded name of a type as a constant, if it is known.
    #[must_use]
    pub fn known_kind(kind: &str) -> Option<&'static str> {
        Self::kinds().find(|known| *known == kind)
    }

    /// Its type, as recorded.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ledger(event) => event.kind(),
            Self::Coordination(event) => event.kind(),
        }
    }

    /// Whether it ends its stream.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Ledger(_) => false,
            Self::Coordination(event) => event.is_terminal(),
        }
    }

    /// Whether an event of this type ends its stream. The type is known also where the payload was
    /// erased or cannot be read.
    #[must_use]
    pub fn is_terminal_kind(kind: &str) -> bool {
        CoordinationEvent::is_terminal_kind(kind)
    }

    /// Reads a recorded payload.
    ///
    /// # Errors
    /// A [`DecodeError`] says whether it is unknown or malformed.
    pub fn decode(kind: &str, schema: u32, payload: &[u8]) -> Result<Self, DecodeError> {
        match prefix(kind) {
            "ledger" => LedgerEvent::decode(kind, schema, payload).map(Self::Ledger),
            _ => CoordinationEvent::decode(kind, schema, payload).map(Self::Coordination),
        }
    }
}

impl Recorded {
    /// What it says.
    ///
    /// # Errors
    /// [`Unreadable`] says what is wrong and where it is.
    pub fn event(&self) -> Result<Event, Unreadable> {
        match prefix(&self.kind) {
            "ledger" => LedgerEvent::of(self).map(Event::Ledger),
            _ => CoordinationEvent::of(self).map(Event::Coordination),
        }
    }
}

/// The stream that a type of event belongs in, by its prefix.
#[must_use]
pub fn belongs_in(kind: &str, stream: &StreamName) -> bool {
    prefix(kind)
        == match stream {
            StreamName::Ledger => "ledger",
            StreamName::Coordination(_) => "coordination",
            StreamName::Pool(_) => "pool",
        }
}

fn prefix(kind: &str) -> &str {
    kind.split_once('.').map_or("", |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::envelope::Payload;
    use crate::id::{Actor, Version};
    use crate::time::{LedgerTime, WallTime};

    fn recorded(kind: &'static str, schema: u32, payload: &str) -> Recorded {
        Recorded {
            stream: "coordination/nightly".parse().unwrap(),
            version: Version(3),
            kind: kind.into(),
            schema,
            at: LedgerTime(1),
            wall: WallTime(1),
            actor: Actor::new("engine").unwrap(),
            cause: None,
            payload: Payload::Bytes(payload.as_bytes().to_vec()),
            prev: Digest::GENESIS,
            hash: Digest::GENESIS,
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_named_with_its_place() {
        let refused = |kind, schema| recorded(kind, schema, "{}").event().unwrap_err();
        let unknown = refused("coordination.noted", 1);
        let newer = refused("coordination.paused", 2);
        assert!(unknown.error.is_newer() && newer.error.is_newer());
        assert_eq!(
            [unknown.to_string(), newer.to_string()],
            [
                "coordination/nightly 3: coordination.noted (schema 1) is not known to this \
                 version; open the ledger with the version that wrote it",
                "coordination/nightly 3: coordination.paused (schema 2) is not known to this \
                 version, which reads up to schema 1; open the ledger with the version that wrote \
                 it",
            ]
        );
        assert!(!refused("coordination.paused", 1).error.is_newer(), "that is damage");
    }

    #[test]
    fn every_type_belongs_in_one_kind_of_stream() {
        let streams = ["ledger", "coordination/a", "pool/a"].map(|name| name.parse().unwrap());
        for kind in Event::kinds() {
            let homes = streams.iter().filter(|stream| belongs_in(kind, stream)).count();
            assert_eq!((kind, homes, Event::known_kind(kind)), (kind, 1, Some(kind)));
        }
    }
}
