//! What kind of message a signal is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::coordination::limits::MAX_SIGNAL_TYPE_BYTES;

/// The type of a signal: one of the six that agents are known to send, or one of somebody's own.
/// Types are compared as they are written.
///
/// ```
/// use antiphon_core::coordination::SignalType;
/// let own: SignalType = "review.requested".parse()?;
/// assert!(own != SignalType::new(SignalType::AGENT_COMPLETED)?);
/// assert_eq!(
///     "no spaces".parse::<SignalType>().unwrap_err().to_string(),
///     "the signal type \"no spaces\" holds ' '; letters, digits and any of _ . : - are allowed"
/// );
/// # Ok::<(), antiphon_core::coordination::NotASignalType>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalType(Arc<str>);

/// Why a text is not the type of a signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotASignalType {
    /// The text is empty.
    #[error("the signal type is empty; give it at least one character")]
    Empty,
    /// The text is longer than its bound.
    #[error("the signal type is {actual} bytes long; at most {max} are allowed")]
    TooLong {
        /// Length found, in bytes.
        actual: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// The text holds a character that types may not have.
    #[error(
        "the signal type {text:?} holds {found:?}; letters, digits and any of _ . : - are allowed"
    )]
    BadCharacter {
        /// The whole text.
        text: String,
        /// The first offending character.
        found: char,
    },
}

impl SignalType {
    /// An agent is ready to work.
    pub const AGENT_INITIALIZED: &'static str = "agent_initialized";
    /// An agent is done, whether it succeeded or not.
    pub const AGENT_COMPLETED: &'static str = "agent_completed";
    /// What an agent waited for is there.
    pub const DEPENDENCY_RESOLVED: &'static str = "dependency_resolved";
    /// A message from one agent to others.
    pub const INTER_AGENT_MESSAGE: &'static str = "inter_agent_message";
    /// A stage of a workflow is done.
    pub const STAGE_COMPLETED: &'static str = "stage_completed";
    /// What had failed was made good.
    pub const ERROR_RECOVERY_COMPLETED: &'static str = "error_recovery_completed";

    /// Whether it is one of the types that every run has.
    #[must_use]
    pub fn is_of_the_seed(&self) -> bool {
        [
            Self::AGENT_INITIALIZED,
            Self::AGENT_COMPLETED,
            Self::DEPENDENCY_RESOLVED,
            Self::INTER_AGENT_MESSAGE,
            Self::STAGE_COMPLETED,
            Self::ERROR_RECOVERY_COMPLETED,
        ]
        .contains(&self.as_str())
    }

    pub(in crate::coordination) fn agent_initialized() -> Self {
        Self(Self::AGENT_INITIALIZED.into())
    }

    pub(in crate::coordination) fn agent_completed() -> Self {
        Self(Self::AGENT_COMPLETED.into())
    }

    /// Reads the type from text: 1 to 100 of `[A-Za-z0-9_.:-]`.
    ///
    /// # Errors
    /// [`NotASignalType`] says what is wrong with the text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, NotASignalType> {
        let text = text.as_ref();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
        if text.is_empty() {
            return Err(NotASignalType::Empty);
        }
        if text.len() > MAX_SIGNAL_TYPE_BYTES {
            let (actual, max) = (text.len(), MAX_SIGNAL_TYPE_BYTES);
            return Err(NotASignalType::TooLong { actual, max });
        }
        match text.chars().find(|c| !allowed(*c)) {
            Some(found) => Err(NotASignalType::BadCharacter { text: text.to_owned(), found }),
            None => Ok(Self(text.into())),
        }
    }

    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SignalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SignalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl FromStr for SignalType {
    type Err = NotASignalType;

    fn from_str(text: &str) -> Result<Self, NotASignalType> {
        Self::new(text)
    }
}

impl Serialize for SignalType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SignalType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}
