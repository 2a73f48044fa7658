//! What an item wants of a runner, instead of naming one.

use std::collections::BTreeSet;

use crate::coordination::MAX_WANTED_CAPABILITIES;
use crate::plan::objects::capabilities::read;
use crate::plan::objects::runner::RunnerAsts;
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Spanned, enumerate, shorten};
use crate::routing::{Candidate, Capabilities, Name, assign};

/// What an item wants, and the names of the runners that have it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) capabilities: Capabilities,
    pub(super) runners: Vec<Spanned<String>>,
}

impl Wanted {
    /// `None` if it is nothing that can be had, which was reported.
    pub(super) fn read(
        node: &Node,
        runners: &RunnerAsts,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        let names = diagnostics.list(node, "capabilities")?;
        let read: Vec<Spanned<Name>> =
            names.iter().filter_map(|name| read(name, diagnostics)).collect();
        if read.len() < names.len() {
            return None;
        }
        if read.is_empty() || read.len() > MAX_WANTED_CAPABILITIES {
            let message = format!(
                "an item wants 1 to {MAX_WANTED_CAPABILITIES} capabilities, but this names {}",
                read.len()
            );
            diagnostics.error(DiagnosticCode::TooLarge, node.span, message);
            return None;
        }
        let known = runners.values().flat_map(|runner| runner.capabilities().iter());
        let known: BTreeSet<&str> = known.map(Name::as_str).collect();
        let known: Vec<&str> = known.into_iter().collect();
        let mut is_unknown = false;
        for name in read.iter().filter(|name| !known.contains(&name.value.as_str())) {
            is_unknown = true;
            let hint = diagnostics.suggestion(name.value.as_str(), known.iter().copied());
            let hint = hint.unwrap_or_else(|| match known.as_slice() {
                [] => {
                    "say what the plan's runners can: `capabilities: [review]` in each".to_owned()
                }
                known => format!("the plan's runners have {}", enumerate(known)),
            });
            let message =
                format!("no runner has the capability `{}`", shorten(name.value.as_str()));
            diagnostics.error(DiagnosticCode::UnknownRunner, name.span, message).hint(hint);
        }
        if is_unknown {
            return None;
        }
        let capabilities: Capabilities = read.into_iter().map(|name| name.value).collect();
        let has_all = |runner: &&String| {
            let can = runners[*runner].capabilities();
            capabilities.iter().all(|wanted| can.iter().any(|has| has == wanted))
        };
        let fitting: Vec<Spanned<String>> = runners
            .keys()
            .filter(has_all)
            .map(|name| Spanned::new(name.clone(), node.span))
            .collect();
        if fitting.is_empty() {
            let candidates: Vec<Candidate> = runners
                .iter()
                .filter_map(|(name, runner)| {
                    let capabilities = runner.capabilities().clone();
                    Some(Candidate { name: Name::new(name).ok()?, capabilities, load: 0 })
                })
                .collect();
            let message = match assign(&capabilities, &candidates) {
                Err(nobody) => nobody.to_string(),
                Ok(_) => "no runner has all of these capabilities".to_owned(),
            };
            diagnostics
                .error(DiagnosticCode::UnknownRunner, node.span, message)
                .hint("want less, or add what is lacking to the `capabilities` of a runner");
            return None;
        }
        Some(Self { capabilities, runners: fitting })
    }
}
