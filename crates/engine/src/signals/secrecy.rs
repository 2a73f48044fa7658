//! Values of secrets in what a session sends: their names take their place before anything of it is
//! recorded.

use antiphon_core::coordination::{Signal, SignalData, SignalError};
use serde_json::Value;

use crate::process::{Secret, redacted};
use crate::secrets::Values;

/// A signal without the values of the secrets of its run in its data.
pub(super) fn without_secrets(signal: Signal, values: &Values) -> Result<Signal, SignalError> {
    let secrets: Vec<Secret> = values
        .iter()
        .map(|(name, value)| Secret { name: name.clone(), value: value.clone() })
        .filter(|secret| !secret.is_too_short())
        .collect();
    let Some(data) = signal.data().filter(|_| !secrets.is_empty()) else { return Ok(signal) };
    let clean = redacted(&secrets, data.as_bytes());
    if clean == data.as_bytes() {
        return Ok(signal);
    }
    let clean = String::from_utf8_lossy(&clean);
    // A value that was no text, or more than one, leaves what is not JSON.
    let clean = SignalData::new(clean.as_ref())
        .or_else(|_| SignalData::new(Value::from(clean.as_ref()).to_string()))
        .expect("BUG: a JSON text is JSON");
    signal.with_data_replaced(clean)
}
