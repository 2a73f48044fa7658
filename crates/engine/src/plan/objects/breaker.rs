//! `breaker:`: what a run does when too many items in a row have failed for good.

use crate::event::OnTripped;
use crate::plan::mapping::{Fields, Object, ValueKind, key, required};
use crate::plan::text::{Diagnostics, Node, Yaml};

/// Most failures in a row that may be asked for.
const MAX_FAILURES: u32 = 1_000_000;

const FAILURES: ValueKind = ValueKind::Integer(1, MAX_FAILURES as i64);

pub(super) const BREAKER: ValueKind =
    ValueKind::Either(&[FAILURES, ValueKind::Word(&["off"]), ValueKind::Of(&BREAKER_OBJECT)]);

pub(super) static BREAKER_OBJECT: Object = Object {
    name: "breaker",
    what: "the breaker",
    keys: &[
        required(
            "failures",
            FAILURES,
            "failures: 3",
            "How many items in a row may fail permanently before the breaker trips.",
        ),
        key(
            "then",
            ValueKind::Word(&["stop", "pause"]),
            "then: pause",
            "What the run does then: it stops running sessions and ends (`stop`, the default), or \
            lets running sessions finish and waits for an operator (`pause`), whose `antiphon \
            continue` starts the count again.",
        ),
    ],
    later: &[],
    open: false,
};

/// The breaker as it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BreakerAst {
    /// The default if absent.
    pub(super) failures: Option<u32>,
    pub(super) on_tripped: OnTripped,
}

impl BreakerAst {
    pub(super) fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        match &node.value {
            Yaml::Map(_) => {
                let fields = Fields::read(node, &BREAKER_OBJECT, diagnostics)?;
                let words = [("stop", OnTripped::Stop), ("pause", OnTripped::Pause)];
                let then = fields.get("then").and_then(|node| diagnostics.choice(node, &words));
                Some(Self {
                    failures: fields
                        .get("failures")
                        .and_then(|node| diagnostics.number(node, MAX_FAILURES)),
                    on_tripped: then.unwrap_or_default(),
                })
            }
            Yaml::Plain(text) | Yaml::Quoted(text) if text == "off" => {
                Some(Self { failures: None, on_tripped: OnTripped::Ignore })
            }
            Yaml::Plain(text) | Yaml::Quoted(text)
                if !node.is_null() && text.parse::<i64>().is_err() =>
            {
                let wanted = "a whole number, `off` or a mapping with `failures` and `then`";
                diagnostics.wrong_type(node, wanted);
                None
            }
            _ => Some(Self {
                failures: Some(diagnostics.number(node, MAX_FAILURES)?),
                on_tripped: OnTripped::Stop,
            }),
        }
    }
}
