//! The words for the results of items and meters, the same in every command.

use std::fmt::Display;

use antiphon::coordination::{SkipReason, WorkItemOutcome};

/// What became of an item.
pub(crate) fn work_outcome(outcome: &WorkItemOutcome) -> String {
    match outcome {
        WorkItemOutcome::Skipped(reason) => {
            format!("{}: {}", outcome.as_str(), skip_reason(reason))
        }
        outcome => outcome.as_str().to_owned(),
    }
}

/// Why an item was skipped.
pub(crate) fn skip_reason(reason: &SkipReason) -> String {
    match reason {
        SkipReason::NeedFailed(root) => format!("needs {root}, which did not succeed"),
        SkipReason::NeedTimedOut(target) => format!("{target} was not there in time"),
        SkipReason::Denied(question) => format!("the answer to question {question} was no"),
        SkipReason::NotRouted => "nothing routed to it".to_owned(),
        SkipReason::NotClaimable => "not claimable".to_owned(),
        SkipReason::Requested => "on request".to_owned(),
        SkipReason::Rule => "by its own rule".to_owned(),
        _ => "for a reason that this version does not know".to_owned(),
    }
}

/// A cost in units of its currency, from millionths.
pub(crate) fn cost(millionths: u64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// So many of something, in the singular where there is one.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    if count == N::from(1) { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let items = [0_u64, 1, 2].map(|count| counted(count, "item"));
        assert_eq!(items, ["0 items", "1 item", "2 items"]);
    }
}
