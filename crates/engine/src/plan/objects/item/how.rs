//! How an item is executed: by a runner with parameters, by a command of its own, or as a nested
//! plan.

use std::collections::{BTreeMap, BTreeSet};

use super::wanted::Wanted;
use crate::plan::mapping::{Fields, UnknownKey, unknown_key};
use crate::plan::objects::command::{CommandAst, first_text};
use crate::plan::objects::process_text;
use crate::plan::objects::runner::{RunnerAst, RunnerAsts};
use crate::plan::resolve::Parameter;
use crate::plan::text::{
    DiagnosticCode, Diagnostics, Spanned, Template, Yaml, all_of, enumerate, shorten,
};

/// The ways to execute an item, of which each has one.
const WAYS: &[&str] = &["runner", "capabilities", "command", "shell", "plan"];

#[derive(Debug)]
pub(super) enum How {
    Runner(Spanned<String>),
    /// By the runners that have what it wants.
    Capable(Wanted),
    Own(CommandAst),
    Plan(Spanned<Template>),
    /// A problem was reported.
    Broken,
}

impl How {
    pub(super) fn read(
        fields: &Fields<'_>,
        id: &Spanned<String>,
        runners: &RunnerAsts,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Self {
        let way = match fields.present(WAYS).as_slice() {
            [way] => *way,
            [] => {
                let message = format!("`{}` does not say what to run", shorten(&id.value));
                diagnostics
                    .error(DiagnosticCode::MissingKey, id.span, message)
                    .hint(format!("add one of {}", enumerate(WAYS)));
                return Self::Broken;
            }
            several => {
                let message = format!(
                    "{} cannot be used together; an item runs in exactly one way",
                    all_of(several)
                );
                diagnostics.error(DiagnosticCode::Conflict, id.span, message);
                return Self::Broken;
            }
        };
        let how = match way {
            "runner" => fields
                .get(way)
                .and_then(|node| diagnostics.text(node))
                .and_then(|runner| known_runner(runner, runners, diagnostics))
                .map(Self::Runner),
            "capabilities" => fields
                .get(way)
                .and_then(|node| Wanted::read(node, runners, diagnostics))
                .map(Self::Capable),
            "plan" => fields
                .get(way)
                .and_then(|node| process_text::template(node, diagnostics))
                .map(Self::Plan),
            _ => CommandAst::read(fields, diagnostics).map(Self::Own),
        };
        how.unwrap_or(Self::Broken)
    }

    /// Sorts what is no key of items into parameters of the runner and mistakes.
    pub(super) fn parameters(
        &self,
        fields: &Fields<'_>,
        others: &[UnknownKey<'_>],
        runners: &RunnerAsts,
        diagnostics: &mut Diagnostics<'_>,
    ) -> BTreeMap<String, Parameter> {
        let (none, item) = (BTreeSet::new(), fields.object());
        let mut parameters = BTreeMap::new();
        let mut given: Vec<&str> = others.iter().map(|(key, _)| key.value.as_str()).collect();
        given.extend(fields.names());
        if !fields.present(WAYS).is_empty() {
            given.extend(WAYS);
        }
        let chosen: Vec<&RunnerAst> =
            self.runners().iter().filter_map(|name| runners.get(&name.value)).collect();
        let is_whole = chosen.iter().all(|runner| runner.command().is_some());
        let all: BTreeSet<String> =
            chosen.iter().flat_map(|runner| runner.parameters()).cloned().collect();
        let names: &BTreeSet<String> = match chosen.as_slice() {
            [_, ..] if is_whole => &all,
            // Which keys are parameters of an unknown runner, or of a broken one, cannot be said;
            // those that are nearly keys of items are mistakes.
            _ if !fields.present(&["runner", "capabilities"]).is_empty() => {
                for (key, _) in others {
                    if !diagnostics.is_full()
                        && diagnostics.suggestion(&key.value, item.names().into_iter()).is_some()
                    {
                        unknown_key(key, item, &none, &given, diagnostics);
                    }
                }
                return parameters;
            }
            _ => &none,
        };
        for (key, value) in others {
            if !names.contains(&key.value) {
                unknown_key(key, item, names, &given, diagnostics);
                continue;
            }
            let template = if matches!(value.value, Yaml::List(_) | Yaml::Map(_)) {
                let message = format!(
                    "`{}` is a single argument, so it cannot be {}",
                    key.value,
                    value.kind()
                );
                diagnostics
                    .error(DiagnosticCode::WrongType, value.span, message)
                    .hint("values are never split; use several parameters or a file");
                // It is given, if wrongly; reporting it as missing would be a second problem.
                None
            } else {
                process_text::template(value, diagnostics).map(|read| read.value)
            };
            let value = template.unwrap_or_default();
            parameters.insert(key.value.clone(), Parameter::new(key.span, value));
        }
        parameters
    }

    /// The names of the runners that may carry it out.
    pub(super) fn runners(&self) -> &[Spanned<String>] {
        match self {
            Self::Runner(name) => std::slice::from_ref(name),
            Self::Capable(wanted) => &wanted.runners,
            Self::Own(_) | Self::Plan(_) | Self::Broken => &[],
        }
    }

    /// What it runs, in a few words.
    pub(super) fn label(&self) -> String {
        let text = match self {
            Self::Runner(_) | Self::Capable(_) => {
                let names: Vec<&str> =
                    self.runners().iter().map(|name| name.value.as_str()).collect();
                names.join(" or ")
            }
            Self::Own(command) => command.label(),
            Self::Plan(path) => format!("plan {}", first_text(&path.value)),
            Self::Broken => String::new(),
        };
        shorten(&text)
    }
}

fn known_runner(
    name: Spanned<String>,
    runners: &RunnerAsts,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Spanned<String>> {
    if runners.contains_key(&name.value) {
        return Some(name);
    }
    let known: Vec<&str> = runners.keys().map(String::as_str).collect();
    let hint = diagnostics.suggestion(&name.value, known.iter().copied()).or_else(|| {
        match known.as_slice() {
            [] => Some("define it under `runners`".to_owned()),
            known => Some(format!("known runners: {}", enumerate(known))),
        }
    });
    let message = format!("unknown runner `{}`", shorten(&name.value));
    diagnostics.error(DiagnosticCode::UnknownRunner, name.span, message).hint_if(hint);
    None
}
