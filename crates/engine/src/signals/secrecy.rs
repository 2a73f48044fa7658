//! Values of secrets in what a session sends: their names take their place before anything of it is
//! recorded.

use antiphon_core::coordination::{Signal, SignalError};

use crate::secrets::{Values, without_values};

/// A signal without the values of the secrets of its run in its data.
pub(super) fn without_secrets(signal: Signal, values: &Values) -> Result<Signal, SignalError> {
    match signal.data().and_then(|data| without_values(data, values)) {
        Some(clean) => signal.with_data_replaced(clean),
        None => Ok(signal),
    }
}
