//! How recorded bytes become events: each type has a name and its own highest schema.
//!
//! The meaning of a (type, schema) never changes. A payload is written in the lowest schema that
//! can say it, so that a ledger that uses no newer feature stays readable by an older version; what
//! a version does not know is a typed error, on which it opens the ledger read-only. Payloads are
//! read strictly: a member that a schema does not have is refused, never left out, so that a new
//! member comes with a new schema.

use serde::de::DeserializeOwned;

use crate::envelope::{Payload, Recorded};
use crate::id::{StreamName, Version};

/// Why recorded bytes are not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum DecodeError {
    /// A type that this version does not know.
    #[error(
        "{kind} (schema {schema}) is not known to this version; \
         open the ledger with the version that wrote it"
    )]
    UnknownType { kind: String, schema: u32 },
    /// A type that this version knows, in a schema that it does not.
    #[error(
        "{kind} (schema {schema}) is not known to this version, which reads up to schema {highest}; \
         open the ledger with the version that wrote it"
    )]
    UnknownSchema {
        kind: String,
        schema: u32,
        /// The highest one that this version reads.
        highest: u32,
    },
    /// The payload does not have the shape of its type.
    #[error("the payload of {kind} is not what schema {schema} promises: {message}")]
    Malformed { kind: String, schema: u32, message: String },
    /// The payload was erased.
    #[error("the payload of {kind} was erased")]
    Erased { kind: String },
}

impl DecodeError {
    /// Whether a newer version wrote it, so that it is no damage.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::UnknownType { .. } | Self::UnknownSchema { .. })
    }
}

/// An event that cannot be read, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stream} {version}: {error}")]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Unreadable {
    pub stream: StreamName,
    pub version: Version,
    /// What is wrong with it; names its type and schema.
    pub error: DecodeError,
}

/// The events of one kind of stream, as one closed enum.
pub trait AggregateEvent: Sized {
    /// Every type there is, as recorded.
    const KINDS: &'static [&'static str];

    /// Its type, as recorded.
    fn kind(&self) -> &'static str;

    /// The lowest schema of its type that can say it: the one it is written in.
    fn schema(&self) -> u32;

    /// The payload as it is recorded.
    ///
    /// # Panics
    /// Never for values that exist: every payload is plain data with text keys.
    fn encode(&self) -> Vec<u8>;

    /// Reads a recorded payload.
    ///
    /// # Errors
    /// A [`DecodeError`] says whether it is unknown or malformed.
    fn decode(kind: &str, schema: u32, payload: &[u8]) -> Result<Self, DecodeError>;

    /// Reads a recorded event.
    ///
    /// # Errors
    /// [`Unreadable`] says what is wrong and where it is.
    fn of(recorded: &Recorded) -> Result<Self, Unreadable> {
        let decoded = match &recorded.payload {
            Payload::Bytes(bytes) => Self::decode(&recorded.kind, recorded.schema, bytes),
            Payload::Erased(_) => Err(DecodeError::Erased { kind: recorded.kind.to_string() }),
        };
        decoded.map_err(|error| Unreadable {
            stream: recorded.stream.clone(),
            version: recorded.version,
            error,
        })
    }
}

/// Reads a payload of a type whose schemas from 1 to `highest` are known. Members that came with a
/// later schema have a default in today's type; `needed` says which schema a value needs.
pub(crate) fn read<T: DeserializeOwned>(
    kind: &str,
    schema: u32,
    highest: u32,
    needed: impl FnOnce(&T) -> u32,
    payload: &[u8],
) -> Result<T, DecodeError> {
    let malformed =
        |message: String| DecodeError::Malformed { kind: kind.to_owned(), schema, message };
    if schema == 0 || schema > highest {
        return Err(DecodeError::UnknownSchema { kind: kind.to_owned(), schema, highest });
    }
    let value = serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))?;
    match needed(&value) {
        needed if needed > schema => {
            Err(malformed(format!("it says what only schema {needed} can")))
        }
        _ => Ok(value),
    }
}

/// The table of an aggregate's events: `Variant(Payload) = "type"`, followed by
/// `, up to HIGHEST by LOWEST` once a type has more than one schema, where `LOWEST` is a function
/// from the payload to the lowest schema that can say it. `; read by NEEDED` follows where a version
/// wrote a member before it had a schema of its own: `NEEDED` leaves such members out.
macro_rules! events {
    (@highest) => { 1 };
    (@highest $highest:literal) => { $highest };
    (@lowest) => { |_| 1 };
    (@lowest $lowest:path) => { $lowest };
    (@needed) => { |_| 1 };
    (@needed $lowest:path) => { $lowest };
    (@needed $lowest:path, $needed:path) => { $needed };
    (
        $(#[$doc:meta])*
        $visibility:vis enum $name:ident {
            $(
                $(#[$variant_doc:meta])*
                $variant:ident($payload:ty) = $kind:literal
                $(up to $highest:literal by $lowest:path $(; read by $needed:path)?)?,
            )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[$variant_doc])* $variant($payload),)*
        }

        impl $crate::schema::AggregateEvent for $name {
            const KINDS: &'static [&'static str] = &[$($kind,)*];

            fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            fn schema(&self) -> u32 {
                match self {
                    $(Self::$variant(payload) => {
                        let lowest: fn(&$payload) -> u32 = events!(@lowest $($lowest)?);
                        lowest(payload)
                    })*
                }
            }

            fn encode(&self) -> Vec<u8> {
                match self {
                    $(Self::$variant(payload) => serde_json::to_vec(payload),)*
                }
                .expect("BUG: every payload is plain data with text keys")
            }

            fn decode(
                kind: &str,
                schema: u32,
                payload: &[u8],
            ) -> Result<Self, $crate::schema::DecodeError> {
                match kind {
                    $($kind => {
                        let highest = events!(@highest $($highest)?);
                        let needed: fn(&$payload) -> u32 =
                            events!(@needed $($lowest $(, $needed)?)?);
                        $crate::schema::read(kind, schema, highest, needed, payload)
                            .map(Self::$variant)
                    })*
                    _ => Err($crate::schema::DecodeError::UnknownType {
                        kind: kind.to_owned(),
                        schema,
                    }),
                }
            }
        }
    };
}
pub(crate) use events;

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Rung {
        bell: u32,
        /// Came with schema 2, as it changes what follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        twice: Option<bool>,
        /// Came without a schema, and has the third since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    }

    impl Rung {
        fn lowest(&self) -> u32 {
            if self.by.is_some() { 3 } else { self.needed() }
        }

        fn needed(&self) -> u32 {
            1 + u32::from(self.twice.is_some())
        }
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    struct Muffled {}

    events! {
        /// What can happen to a bell.
        enum BellEvent {
            /// It rang.
            Rung(Rung) = "bell.rung" up to 3 by Rung::lowest; read by Rung::needed,
            /// It will not be heard.
            Muffled(Muffled) = "bell.muffled",
        }
    }

    fn rung(twice: Option<bool>) -> BellEvent {
        BellEvent::Rung(Rung { bell: 7, twice, by: None })
    }

    #[test]
    fn a_payload_is_written_in_the_lowest_schema_that_can_say_it() {
        let written =
            |event: BellEvent| (event.schema(), String::from_utf8(event.encode()).unwrap());
        assert_eq!(written(rung(None)), (1, r#"{"bell":7}"#.to_owned()));
        assert_eq!(written(rung(Some(true))), (2, r#"{"bell":7,"twice":true}"#.to_owned()));
        assert_eq!(written(BellEvent::Muffled(Muffled {})), (1, "{}".to_owned()));
    }

    #[test]
    fn a_member_that_was_written_before_it_had_a_schema_is_read_in_the_earlier_ones() {
        let payload = br#"{"bell":7,"by":"the sexton"}"#;
        let by = Some("the sexton".to_owned());
        let expected = BellEvent::Rung(Rung { bell: 7, twice: None, by });
        for schema in 1..=3 {
            assert_eq!(BellEvent::decode("bell.rung", schema, payload).as_ref(), Ok(&expected));
        }
        assert_eq!((expected.schema(), expected.encode()), (3, payload.to_vec()));
    }

    #[test]
    fn a_type_is_read_in_every_schema_up_to_its_own_highest() {
        let read = |schema, payload: &str| {
            BellEvent::decode("bell.rung", schema, payload.as_bytes())
                .map_err(|error| error.to_string())
        };
        assert_eq!(read(1, r#"{"bell":7}"#), Ok(rung(None)));
        assert_eq!(read(2, r#"{"bell":7}"#), Ok(rung(None)));
        assert_eq!(read(2, r#"{"bell":7,"twice":true}"#), Ok(rung(Some(true))));
        let refused = |schema, payload| read(schema, payload).unwrap_err();
        assert_eq!(
            [
                refused(0, r#"{"bell":7}"#),
                refused(4, r#"{"bell":7}"#),
                refused(1, r#"{"bell":7,"twice":true}"#),
                refused(1, "{}"),
            ],
            [
                "bell.rung (schema 0) is not known to this version, which reads up to schema 3; \
                 open the ledger with the version that wrote it",
                "bell.rung (schema 4) is not known to this version, which reads up to schema 3; \
                 open the ledger with the version that wrote it",
                "the payload of bell.rung is not what schema 1 promises: \
                 it says what only schema 2 can",
                "the payload of bell.rung is not what schema 1 promises: \
                 missing field `bell` at line 1 column 2",
            ]
        );
        assert_eq!(read(3, r#"{"bell":7,"twice":true}"#), Ok(rung(Some(true))));
        assert_eq!(
            BellEvent::decode("bell.muffled", 2, b"{}"),
            Err(DecodeError::UnknownSchema {
                kind: "bell.muffled".to_owned(),
                schema: 2,
                highest: 1
            })
        );
        assert_eq!(
            BellEvent::decode("bell.cracked", 1, b"{}"),
            Err(DecodeError::UnknownType { kind: "bell.cracked".to_owned(), schema: 1 })
        );
    }
}
