//! A change of a key on its way into the record.

use super::change::KeyChange;
use super::expected::Expected;
use super::value::KeyValue;
use crate::coordination::error::KeyError;
use crate::coordination::limits::{MAX_KEY_BYTES, MAX_KEY_BYTES_IN_STATE};
use crate::envelope::Blob;
use crate::id::{KeyName, Version};
use crate::json_text::JsonText;

/// A change of one key.
///
/// ```
/// use antiphon_core::coordination::{Expected, KeyWrite};
/// use antiphon_core::id::Version;
/// use antiphon_core::json_text::JsonText;
/// let first = KeyWrite::set("state/phase".parse()?, JsonText::new("\"tests\"")?)?;
/// let gone = KeyWrite::delete("state/phase".parse()?).expecting(Expected::At(Version(7)));
/// assert_ne!(first, gone);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWrite {
    key: KeyName,
    value: Option<KeyValue>,
    blob: Option<Blob>,
    expected: Expected,
}

impl KeyWrite {
    /// Sets a key; a value that is too large for the state is kept in a blob.
    ///
    /// # Errors
    /// [`KeyError::TooLarge`] beyond 1 MiB.
    pub fn set(key: KeyName, value: JsonText) -> Result<Self, KeyError> {
        let (actual, max) = (value.as_str().len(), MAX_KEY_BYTES);
        if actual > max {
            return Err(KeyError::TooLarge { key, actual, max });
        }
        let large = actual > MAX_KEY_BYTES_IN_STATE;
        let blob = large.then(|| Blob::new(value.as_str().as_bytes().to_vec()));
        let value = blob.as_ref().map_or(KeyValue::Here(value), |blob| KeyValue::Blob(blob.digest));
        Ok(Self { key, value: Some(value), blob, expected: Expected::Anything })
    }

    /// Removes a key.
    #[must_use]
    pub fn delete(key: KeyName) -> Self {
        Self { key, value: None, blob: None, expected: Expected::Anything }
    }

    /// Only if the key is as expected; otherwise nothing of the command is done.
    #[must_use]
    pub fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// Its value as text, if it sets one.
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        match (&self.value, &self.blob) {
            (Some(KeyValue::Here(value)), _) => Some(value.as_str()),
            (_, Some(blob)) => std::str::from_utf8(&blob.bytes).ok(),
            _ => None,
        }
    }

    /// The same with another value.
    ///
    /// # Errors
    /// As [`KeyWrite::set`].
    pub fn with_json(self, value: JsonText) -> Result<Self, KeyError> {
        Ok(Self::set(self.key, value)?.expecting(self.expected))
    }

    /// Which key.
    #[must_use]
    pub fn key(&self) -> &KeyName {
        &self.key
    }

    /// Whether the key, which was last set at this version, is as expected.
    pub(super) fn check(&self, actual: Option<Version>) -> Result<(), KeyError> {
        let holds = match self.expected {
            Expected::Anything => true,
            Expected::Nothing => actual.is_none(),
            Expected::At(version) => actual == Some(version),
        };
        match holds {
            true => Ok(()),
            false => {
                let (key, expected) = (self.key.clone(), self.expected);
                Err(KeyError::Stale { key, expected, actual })
            }
        }
    }

    /// Whether it takes away what is not there.
    pub(super) fn is_idle(&self, actual: Option<Version>) -> bool {
        self.value.is_none() && actual.is_none()
    }

    /// What is recorded of it, and the blob that holds its value, if that is large.
    pub(super) fn into_parts(self) -> (KeyChange, Option<Blob>) {
        (KeyChange::new(self.key, self.value), self.blob)
    }
}
