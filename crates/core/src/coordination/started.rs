//! What a coordination is started with, as its first event says it.

use super::event::Started;
use super::limits::{MAX_ATTEMPTS_LIMIT, MAX_CONCURRENCY, MAX_DEPTH};

/// Whether a first event's numbers are in range.
pub(super) fn check_started(started: &Started) -> Result<(), String> {
    let in_range = |what: &str, value: u32, max: u32| {
        if (1..=max).contains(&value) {
            Ok(())
        } else {
            Err(format!("{what} is {value}; it must be between 1 and {max}"))
        }
    };
    in_range("max_attempts", started.policies.max_attempts, MAX_ATTEMPTS_LIMIT)?;
    in_range("breaker", started.policies.breaker, u32::MAX)?;
    in_range("concurrency", started.concurrency, MAX_CONCURRENCY)?;
    for (group, width) in &started.widths {
        in_range(&format!("the width of group {group}"), *width, MAX_CONCURRENCY)?;
    }
    if started.depth > MAX_DEPTH {
        return Err(format!("it is nested {} deep", started.depth));
    }
    Ok(())
}
