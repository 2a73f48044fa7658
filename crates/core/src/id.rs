//! The identifiers of the domain, each a type of its own so that they cannot be mixed.
//!
//! Text is parsed once, at the edge, into one of these; inside, nothing compares loose strings. All
//! are cheap to clone.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest identifier that is accepted, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Longest coordination id that a user may choose, in bytes; the rest is room for the ids of nested
/// coordinations.
pub const MAX_CHOSEN_ID_BYTES: usize = 200;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum IdError {
    /// The text is empty.
    #[error("the {what} is empty; give it at least one character")]
    Empty {
        /// Which identifier was being read.
        what: &'static str,
    },
    /// The text is longer than its bound.
    #[error("the {what} is {actual} bytes long; at most {max} are allowed")]
    TooLong {
        /// Which identifier was being read.
        what: &'static str,
        /// Length found, in bytes.
        actual: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// The text holds a character that identifiers may not have.
    #[error("the {what} {text:?} holds {found:?}; control characters{also} are not allowed in it")]
    BadCharacter {
        /// Which identifier was being read.
        what: &'static str,
        text: String,
        /// The first offending character.
        found: char,
        /// Further characters that this identifier refuses, as text for the message.
        also: &'static str,
    },
    /// The id looks like that of a session or a nested coordination, which the engine hands out
    /// itself.
    #[error(
        "the run id {text:?} ends in a dot and a number, which is how sessions and nested runs are named; choose another ending"
    )]
    Reserved { text: String },
    /// The id is that of the run whose keys belong to no run of their own.
    #[error(
        "the run id \"shared\" is that of the keys which all runs may read; choose another one"
    )]
    Shared,
    /// Scripts would take the id for something else: a flag, or a directory.
    #[error("the {what} {text:?} {why}; choose another one")]
    Ambiguous {
        /// Which identifier was being read.
        what: &'static str,
        text: String,
        /// What it would be taken for.
        why: &'static str,
    },
    /// A session id is not of the form `<coordination>.<n>`.
    #[error("{text:?} is not a session id; it has the form <run>.<number>")]
    NotASession { text: String },
    /// A stream name is none of `ledger`, `coordination/<id>`, `pool/<name>`.
    #[error(
        "{text:?} is not a stream; streams are `ledger`, `coordination/<id>` and `pool/<name>`"
    )]
    NotAStream { text: String },
}

fn check(
    what: &'static str,
    text: &str,
    also: &'static str,
    refused: fn(char) -> bool,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong { what, actual: text.len(), max: MAX_ID_BYTES });
    }
    match text.chars().find(|&c| c.is_control() || refused(c)) {
        Some(found) => Err(IdError::BadCharacter { what, text: text.to_owned(), found, also }),
        None => Ok(()),
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $also:literal, $refused:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads the identifier from text.
            ///
            /// # Errors
            /// Returns an [`IdError`] that says what is wrong with the text.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                check($what, text, $also, $refused)?;
                Ok(Self(text.into()))
            }

            /// Whether it may be given to something new; older ledgers hold some that may not.
            ///
            /// # Errors
            /// Returns an [`IdError`] that says what is wrong with it.
            pub fn check_new(&self) -> Result<(), IdError> {
                check_new($what, &self.0)
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a {}", $what)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

/// What a new identifier may not be either. Ledgers may hold such ones from before this was refused.
///
/// Sessions see ids in their environment, where scripts make paths and arguments of them, and people
/// see them on terminals, where some characters turn the text around them.
fn check_new(what: &'static str, text: &str) -> Result<(), IdError> {
    let ambiguous = |why| Err(IdError::Ambiguous { what, text: text.to_owned(), why });
    match text.chars().find(|c| is_directional(*c)) {
        Some(found) => {
            let also = " and characters that change the direction of text";
            Err(IdError::BadCharacter { what, text: text.to_owned(), found, also })
        }
        None if matches!(text, "." | "..") => ambiguous("names a directory"),
        None if text.starts_with('-') => ambiguous("begins with a dash, as flags do"),
        None => Ok(()),
    }
}

/// The characters that Unicode calls bidirectional controls, and its separators of lines.
fn is_directional(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

id_type! {
    /// Names a coordination: 1 to 256 bytes, no control characters, white space or slashes.
    CoordinationId, "run id", ", white space and slashes", |c| c.is_whitespace() || c == '/' || c == '\\'
}
id_type! {
    /// Names a work item within its coordination: 1 to 256 bytes, no control characters.
    WorkId, "work id", "", |_| false
}
id_type! {
    /// The name an item speaks under.
    AgentId, "agent name", "", |_| false
}
id_type! {
    /// Names a way to carry out sessions: a registered function or configuration.
    RunnerName, "runner name", "", |_| false
}
id_type! {
    /// Labels items that share a barrier.
    GroupName, "group name", "", |_| false
}
id_type! {
    /// Who caused an event: `engine`, `operator`, `session:<id>` and the like.
    Actor, "actor", "", |_| false
}

id_type! {
    /// Names a key of a coordination: 1 to 256 bytes, no control characters.
    KeyName, "key", "", |_| false
}
id_type! {
    /// Names a question of a coordination.
    QuestionId, "question id", "", |_| false
}
id_type! {
    /// Makes a command idempotent: the same id gives the same answer.
    CommandId, "command id", "", |_| false
}

impl WorkId {
    /// The id of another visit of the item of this one; the first visit has no number.
    ///
    /// # Errors
    /// [`IdError`] if it would be too long.
    pub fn visit(&self, visit: u32) -> Result<Self, IdError> {
        Self::new(format!("{self}#{visit}"))
    }

    /// The id of the first visit, if it has the form of another one.
    #[must_use]
    pub fn first_visit(&self) -> Option<&str> {
        let (first, visit) = self.0.rsplit_once('#')?;
        visit.parse::<u32>().is_ok_and(|visit| visit > 1).then_some(first)
    }
}

/// Items speak under their ids unless they are given another name.
impl From<&WorkId> for AgentId {
    fn from(work: &WorkId) -> Self {
        Self(Arc::clone(&work.0))
    }
}

static ENGINE: LazyLock<Actor> = LazyLock::new(|| Actor("engine".into()));

impl QuestionId {
    /// The id of a question that was given none: where it was asked.
    #[must_use]
    pub fn minted(version: Version) -> Self {
        Self(format!("q{version}").into())
    }

    /// The version that it was made of, if it was given to a question without one.
    #[must_use]
    pub fn minted_at(&self) -> Option<Version> {
        let number = self.0.strip_prefix('q')?.parse().ok().map(Version)?;
        (*self == Self::minted(number)).then_some(number)
    }
}

static SHARED: LazyLock<CoordinationId> = LazyLock::new(|| CoordinationId("shared".into()));

impl Actor {
    /// The actor of what the engine does on its own.
    #[must_use]
    pub fn engine() -> &'static Self {
        &ENGINE
    }

    /// The actor of what a session does.
    ///
    /// # Panics
    /// Never: the id of a session is shorter than that of an actor may be.
    #[must_use]
    pub fn session(session: &SessionId) -> Self {
        let name = format!("session:{session}");
        Self::new(name).unwrap_or_else(|error| panic!("BUG: the id of a session: {error}"))
    }
}

impl CoordinationId {
    /// The id of the open coordination that keeps the keys which belong to no other: gates and
    /// resources that no coordination declares. It comes into being with the first of them.
    #[must_use]
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// Whether it is [`CoordinationId::shared`].
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self == Self::shared()
    }

    /// Reads an id that a user chose: shorter, not of the form that sessions and nested coordinations
    /// have, and not that of what all share.
    ///
    /// # Errors
    /// Returns an [`IdError`] that says what is wrong with the text.
    pub fn chosen(text: impl AsRef<str>) -> Result<Self, IdError> {
        let id = Self::new(text)?;
        id.check_new()?;
        if id.0.len() > MAX_CHOSEN_ID_BYTES {
            return Err(IdError::TooLong {
                what: "run id",
                actual: id.0.len(),
                max: MAX_CHOSEN_ID_BYTES,
            });
        }
        if id.is_numbered() {
            return Err(IdError::Reserved { text: id.0.to_string() });
        }
        if id.is_shared() {
            return Err(IdError::Shared);
        }
        Ok(id)
    }

    /// Whether it has the form of the ids that sessions and nested coordinations have.
    #[must_use]
    pub fn is_numbered(&self) -> bool {
        split_number(&self.0).is_some()
    }

    /// The id of the same done once more, as the `nth` of its kind: `build@2`, and `build@3` after
    /// that.
    ///
    /// # Errors
    /// [`IdError::TooLong`] if nothing can follow it any more.
    pub fn again(&self, nth: u64) -> Result<Self, IdError> {
        Self::chosen(format!("{}@{nth}", self.original()))
    }

    /// The id without the number of the repetition: `build` of `build@2`.
    #[must_use]
    pub fn original(&self) -> &str {
        match self.0.rsplit_once('@') {
            Some((original, nth)) if !original.is_empty() && is_repetition(nth) => original,
            _ => &self.0,
        }
    }

    /// The id of the run that somebody submitted, in which a nested run is however deep; any other
    /// is its own: `build` of `build.3.1`.
    #[must_use]
    pub fn outermost(&self) -> Self {
        match self.0.parse::<SessionId>() {
            Ok(session) => session.coordination.outermost(),
            Err(_) => self.clone(),
        }
    }
}

/// Whether it is a number from 2 in its shortest form.
fn is_repetition(text: &str) -> bool {
    text.parse().is_ok_and(|nth: u64| nth > 1 && nth.to_string() == text)
}

/// Splits `<head>.<n>` where `n` is a number in its shortest form.
fn split_number(text: &str) -> Option<(&str, u64)> {
    let (head, tail) = text.rsplit_once('.')?;
    let number: u64 = tail.parse().ok()?;
    (number.to_string() == tail).then_some((head, number))
}

/// One attempt at one item: `<coordination>.<n>`, counted from 1 within its coordination.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// The coordination that the session belongs to.
    pub coordination: CoordinationId,
    /// Its number within the coordination, from 1.
    pub number: u64,
}

impl SessionId {
    /// The id of a coordination that this session carries out.
    ///
    /// # Errors
    /// Returns [`IdError::TooLong`] when the nesting has used up the room that ids have.
    pub fn nested_coordination(&self) -> Result<CoordinationId, IdError> {
        CoordinationId::new(self.to_string())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.coordination, self.number)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for SessionId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match split_number(text) {
            Some((head, number)) if number > 0 => {
                Ok(Self { coordination: CoordinationId::new(head)?, number })
            }
            _ => Err(IdError::NotASession { text: text.to_owned() }),
        }
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a stream of the ledger.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names of its variants say it")]
#[non_exhaustive]
pub enum StreamName {
    /// What happens to the ledger itself.
    Ledger,
    Coordination(CoordinationId),
    Pool(Arc<str>),
}

impl StreamName {
    /// How the names of the streams of coordinations begin; their ids follow.
    pub const COORDINATIONS: &str = "coordination/";
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ledger => f.write_str("ledger"),
            Self::Coordination(id) => write!(f, "{}{id}", Self::COORDINATIONS),
            Self::Pool(name) => write!(f, "pool/{name}"),
        }
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for StreamName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == "ledger" {
            return Ok(Self::Ledger);
        }
        if let Some(id) = text.strip_prefix(Self::COORDINATIONS) {
            return Ok(Self::Coordination(CoordinationId::new(id)?));
        }
        if let Some(name) = text.strip_prefix("pool/") {
            check("pool name", name, "", |_| false)?;
            return Ok(Self::Pool(name.into()));
        }
        Err(IdError::NotAStream { text: text.to_owned() })
    }
}

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The one after this; the last one is followed by itself.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_type! {
    /// Position of an event in its stream, from 1; with the stream it is the event's identity. 0
    /// means "before the first".
    Version
}
number_type! {
    /// Address of an event in the whole ledger, from 1. An address only: no hash covers it.
    Seq
}
number_type! {
    /// Number of an append, from 1. 0 means "before the first".
    CommitNumber
}
number_type! {
    /// Which ownership of the ledger an append was made under, from 1.
    Epoch
}

/// An event does not follow the last one of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("version {actual} does not follow version {last}")]
pub struct OutOfOrder {
    /// The last version seen.
    pub last: Version,
    /// The version offered.
    pub actual: Version,
}

impl Version {
    /// Refuses a version that is not the next one after the last that was seen.
    ///
    /// # Errors
    /// [`OutOfOrder`].
    pub fn follows(self, last: Self) -> Result<(), OutOfOrder> {
        if self == last.next() { Ok(()) } else { Err(OutOfOrder { last, actual: self }) }
    }
}

/// What a session or lease must show to write: the version of the event that granted it.
pub type Fence = Version;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_would_break_a_stream_name() {
        assert_eq!(CoordinationId::new(""), Err(IdError::Empty { what: "run id" }));
        assert!(matches!(
            CoordinationId::new("a/b"),
            Err(IdError::BadCharacter { found: '/', .. })
        ));
        assert!(matches!(WorkId::new("a\nb"), Err(IdError::BadCharacter { found: '\n', .. })));
        assert!(matches!(
            WorkId::new("x".repeat(257)),
            Err(IdError::TooLong { actual: 257, max: 256, .. })
        ));
        assert_eq!(WorkId::new("Straße 1/2").unwrap().as_str(), "Straße 1/2");
    }

    #[test]
    fn chosen_ids_cannot_pose_as_sessions_or_nested_coordinations() {
        assert!(matches!(CoordinationId::chosen("build.3"), Err(IdError::Reserved { .. })));
        assert!(CoordinationId::chosen("build.03").is_ok(), "not how the engine writes a number");
        assert!(CoordinationId::chosen("v1.2-rc").is_ok());
        assert_eq!(CoordinationId::chosen("shared"), Err(IdError::Shared));
        assert!(matches!(
            CoordinationId::chosen("x".repeat(201)),
            Err(IdError::TooLong { max: 200, .. })
        ));
    }

    #[test]
    fn what_is_done_again_has_the_next_number_after_its_first_id() {
        let again = |id: &str, nth| CoordinationId::chosen(id).unwrap().again(nth);
        for (id, expected) in [
            ("build", "build@3"),
            ("build@2", "build@3"),
            ("build@2@2", "build@2@3"),
            ("build@02", "build@02@3"),
            ("build@1", "build@1@3"),
            ("me@host", "me@host@3"),
            ("@2", "@2@3"),
        ] {
            assert_eq!(again(id, 3).unwrap().as_str(), expected, "{id}");
        }
        assert!(matches!(again(&"x".repeat(199), 2), Err(IdError::TooLong { .. })));
    }

    #[test]
    fn a_nested_run_is_in_the_run_that_somebody_submitted() {
        for (id, expected) in
            [("build.3", "build"), ("v1.2-rc.1.12", "v1.2-rc"), ("b@2", "b@2"), ("b.0", "b.0")]
        {
            assert_eq!(CoordinationId::new(id).unwrap().outermost().as_str(), expected, "{id}");
        }
    }

    #[test]
    fn new_ids_are_no_flags_directories_or_text_that_turns_around() {
        for text in [".", "..", "--json", "-", "a\u{202e}b", "\u{2066}", "a\u{200f}"] {
            assert!(CoordinationId::chosen(text).is_err(), "{text:?}");
            assert!(WorkId::new(text).unwrap().check_new().is_err(), "{text:?}");
        }
        for text in ["...", "a-", ".hidden", "\u{5d0}\u{5d1}"] {
            assert!(CoordinationId::chosen(text).is_ok(), "{text:?}");
        }
        // What an older ledger holds is still read.
        assert!(CoordinationId::new("..").is_ok());
        let refused = CoordinationId::chosen("--json").unwrap_err().to_string();
        assert_eq!(
            refused,
            "the run id \"--json\" begins with a dash, as flags do; choose another one"
        );
    }

    #[test]
    fn session_ids_read_back_as_written() {
        let id: SessionId = "build.3.7".parse().unwrap();
        assert_eq!((id.coordination.as_str(), id.number), ("build.3", 7));
        assert_eq!(id.to_string(), "build.3.7");
        for bad in ["build", "build.", "build.0", "build.x", ".1", "build.007"] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn stream_names_read_back_as_written() {
        for name in ["ledger", "coordination/a.1", "pool/gpu"] {
            assert_eq!(name.parse::<StreamName>().unwrap().to_string(), name);
        }
        assert!("other".parse::<StreamName>().is_err());
    }
}
