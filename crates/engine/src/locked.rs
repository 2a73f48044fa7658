//! Locking where a panic elsewhere must not spread: what is guarded so is replaced whole or checked
//! before it is used. Never held over an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks also after a thread that held the lock has panicked.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
