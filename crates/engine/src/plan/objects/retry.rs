//! `retry:`: how often an item is tried, and how long it waits in between.

use crate::coordination::Backoff;
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::text::{DiagnosticCode, Diagnostics, Millis, Node, Share};

pub(super) static RETRY: Object = Object {
    name: "retry",
    what: "a retry policy",
    keys: &[
        key(
            "attempts",
            ValueKind::Integer(1, 100),
            "attempts: 3",
            "How many times it is tried in total.",
        ),
        key(
            "backoff",
            ValueKind::Duration,
            "backoff: 1s",
            "How long to wait after the first failed attempt; the wait doubles after each further \
            one.",
        ),
        key("cap", ValueKind::Duration, "cap: 5m", "The longest wait. Default: 10m."),
        key(
            "jitter",
            ValueKind::Share,
            "jitter: 20%",
            "How much of the wait is random, so that retries do not all start at once.",
        ),
    ],
    later: &[],
    open: false,
};

/// Longest wait between attempts, unless the plan says otherwise.
const DEFAULT_CAP: Millis = Millis(600_000);

/// How much longer each further wait is.
const BACKOFF_FACTOR: u32 = 2;

#[derive(Debug, Default, Clone)]
pub(super) struct RetryAst {
    attempts: Option<u32>,
    backoff: Option<Millis>,
    cap: Option<Millis>,
    jitter: Option<Share>,
}

impl RetryAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Self {
        let Some(fields) = Fields::read(node, &RETRY, diagnostics) else {
            return Self::default();
        };
        let backoff = fields.get("backoff");
        for name in fields.present(&["cap", "jitter"]) {
            if backoff.is_none() {
                let span = fields.get(name).map_or(fields.span(), |node| node.span);
                let message = format!("`{name}` has no effect without `backoff`");
                diagnostics
                    .error(DiagnosticCode::Conflict, span, message)
                    .hint("add `backoff`, for example `backoff: 1s`");
            }
        }
        Self {
            attempts: fields.get("attempts").and_then(|node| diagnostics.number(node, 100)),
            backoff: backoff.and_then(|node| diagnostics.duration(node)),
            cap: fields.get("cap").and_then(|node| diagnostics.duration(node)),
            jitter: fields.get("jitter").and_then(|node| diagnostics.share(node)),
        }
    }

    pub(super) fn attempts(&self) -> Option<u32> {
        self.attempts
    }

    pub(super) fn backoff(&self) -> Option<Backoff> {
        let nanos = |millis: Millis| millis.0.saturating_mul(1_000_000);
        let initial = self.backoff?;
        Some(Backoff {
            initial_ns: nanos(initial),
            factor: BACKOFF_FACTOR,
            cap_ns: nanos(self.cap.unwrap_or(DEFAULT_CAP).max(initial)),
            jitter_ppm: self.jitter.map_or(0, |share| share.0),
        })
    }
}
