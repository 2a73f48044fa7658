//! Reading the tree of a plan into a draft, and telling everything that does not fit on the way.

mod conduct;
mod item;
mod secrecy;

use std::collections::{BTreeMap, BTreeSet};

use super::draft::{BudgetDraft, Draft, RetryDraft, RunDraft, RunnerDraft};
use super::fields::{Fields, enumerate, shorten};
use super::keys;
use super::node::{Node, Yaml};
use super::problem::{DiagnosticCode, Diagnostics};
use super::source::Spanned;
use super::template::Template;
use super::units::Cost;

/// Longest id of an item, a runner or a group, in bytes; the rest of what ids may have is room for
/// the cells of a matrix.
const MAX_NAME_BYTES: usize = 128;

/// Names that placeholders use for something else.
const RESERVED: &[&str] = &["input"];

/// Reads a whole plan.
pub(super) fn draft(root: &Node, diagnostics: &mut Diagnostics<'_>) -> Draft {
    let mut draft = Draft::default();
    let Some(fields) = Fields::read(root, &keys::PLAN, diagnostics) else { return draft };
    if let Some(name) = fields.get("name").and_then(|node| diagnostics.text(node)) {
        if name.value.len() > 256
            || name.value.chars().any(char::is_control)
            || name.value.is_empty()
        {
            diagnostics.error(
                DiagnosticCode::BadValue,
                name.span,
                "a name has 1 to 256 bytes and no control characters",
            );
        }
        draft.name = name.value;
    }
    if let Some(node) = fields.get("budget") {
        draft.budget = budget(node, diagnostics);
    }
    let number = |node: Option<&Node>, max, diagnostics: &mut Diagnostics<'_>| {
        let number = diagnostics.integer(node?, 1, max)?;
        u32::try_from(number).ok()
    };
    draft.concurrency = number(fields.get("concurrency"), 10_000, diagnostics);
    draft.breaker = number(fields.get("breaker"), 1_000_000, diagnostics);
    draft.pausing = fields.get("on_exhausted").and_then(|node| pausing(node, diagnostics));
    if let Some(node) = fields.get("retry") {
        draft.retry = retry(node, diagnostics);
    }
    if let Some(node) = fields.get("env") {
        draft.env = conduct::env(node, false, diagnostics);
    }
    if let Some(node) = fields.get("labels") {
        for (name, value) in diagnostics.entries(node, "texts").unwrap_or_default() {
            if let Some(text) = diagnostics.text(value) {
                secrecy::inspect_text(&text, diagnostics);
                draft.labels.insert(name.value.clone(), text.value);
            }
        }
    }
    if let Some(node) = fields.get("runners") {
        for (name, value) in diagnostics.entries(node, "runners").unwrap_or_default() {
            check_name("runner", name, diagnostics);
            // A broken runner is there, so that what names it is no second problem.
            let runner = runner(value, diagnostics);
            draft.runners.insert(name.value.clone(), runner);
        }
    }
    if let Some(node) = fields.get("work") {
        let entries = diagnostics.entries(node, "items").unwrap_or_default();
        if entries.is_empty() && matches!(node.value, Yaml::Map(_)) {
            diagnostics
                .error(DiagnosticCode::MissingKey, node.span, "there is no item in `work`")
                .hint(format!("such as `{}`", "build: { command: [make] }"));
        }
        for (id, value) in entries {
            check_name("item", id, diagnostics);
            draft.items.push(item::read(id, value, &draft.runners, diagnostics));
        }
    }
    draft
}

fn budget(node: &Node, diagnostics: &mut Diagnostics<'_>) -> BudgetDraft {
    let Some(fields) = Fields::read(node, &keys::BUDGET, diagnostics) else {
        return BudgetDraft::default();
    };
    let sessions = fields.get("sessions").and_then(|node| {
        let number = diagnostics.integer(node, 1, u32::MAX.into())?;
        Some(Spanned::new(u32::try_from(number).ok()?, node.span))
    });
    BudgetDraft {
        sessions,
        duration: fields.get("duration").and_then(|node| diagnostics.duration(node)),
        tokens: fields.get("tokens").and_then(|node| positive_count(node, diagnostics)),
        cost: fields.get("cost").and_then(|node| positive_cost(node, diagnostics)),
    }
}

/// A count of at least one: with none nothing would ever start.
fn positive_count(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<u64> {
    let count = diagnostics.count(node)?;
    if count.0 == 0 {
        diagnostics.error(
            DiagnosticCode::BadValue,
            node.span,
            "with a ceiling of 0 nothing would ever start",
        );
        return None;
    }
    Some(count.0)
}

fn positive_cost(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Cost> {
    let cost = diagnostics.cost(node)?;
    if cost.millionths == 0 {
        diagnostics.error(
            DiagnosticCode::BadValue,
            node.span,
            "with a ceiling of 0 nothing would ever start",
        );
        return None;
    }
    Some(cost)
}

fn runner(node: &Node, diagnostics: &mut Diagnostics<'_>) -> RunnerDraft {
    let blank =
        || RunnerDraft { run: None, conduct: Default::default(), parameters: BTreeSet::new() };
    let Some(fields) = Fields::read(node, &keys::RUNNER, diagnostics) else { return blank() };
    let run = match fields.present(&["command", "shell"]).as_slice() {
        [] => {
            let hint = format!("such as `{}`", keys::RUNNER.keys[0].example);
            diagnostics
                .error(DiagnosticCode::MissingKey, node.span, "a runner needs `command` or `shell`")
                .hint(hint);
            None
        }
        [_] => run(&fields, diagnostics),
        both => {
            diagnostics.error(
                DiagnosticCode::Conflict,
                fields.span,
                format!("{} exclude each other", enumerate(both)),
            );
            None
        }
    };
    let conduct = conduct::read(&fields, diagnostics);
    let templates = run.iter().flat_map(RunDraft::templates).chain(conduct.templates());
    let parameters: BTreeSet<String> =
        templates.flat_map(Template::parameters).map(str::to_owned).collect();
    for name in &parameters {
        if keys::ITEM.key(name).is_some() {
            let message = format!("`{name}` is a key of items, so it cannot be a parameter");
            diagnostics
                .error(DiagnosticCode::BadPlaceholder, node.span, message)
                .hint("give the parameter another name");
        }
    }
    RunnerDraft { run, conduct, parameters }
}

/// What `command` or `shell` says.
fn run(fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<RunDraft> {
    if let Some(node) = fields.get("command") {
        return argv(node, diagnostics).map(RunDraft::Argv);
    }
    let script = diagnostics.text(fields.get("shell")?)?;
    secrecy::inspect_text(&script, diagnostics);
    if script.value.contains("{{") {
        diagnostics
            .error(
                DiagnosticCode::BadPlaceholder,
                script.span,
                "a shell would run or split what is put into its script",
            )
            .hint(
                "give the value by `env`, such as env: { FILE: \"{{file}}\" }, and write \"$FILE\"",
            );
        return None;
    }
    if script.value.contains('\0') {
        diagnostics.error(
            DiagnosticCode::BadValue,
            script.span,
            "a script cannot hold a zero byte",
        );
        return None;
    }
    Some(RunDraft::Shell(script.value))
}

/// A program and its arguments.
fn argv(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Vec<Template>> {
    if let Yaml::Plain(text) | Yaml::Quoted(text) = &node.value
        && text.contains(|c: char| "|&;<>$`*?\"'()".contains(c))
    {
        let message = "a command is a list of the program and its arguments, and no shell reads it";
        diagnostics
            .error(DiagnosticCode::WrongType, node.span, message)
            .hint("write it as [program, argument, ..], or use `shell` instead of `command`");
        return None;
    }
    let entries = diagnostics.list(node, "a program and its arguments")?;
    if entries.is_empty() {
        diagnostics.error(
            DiagnosticCode::BadValue,
            node.span,
            "a command needs at least the program",
        );
        return None;
    }
    let mut templates = Vec::new();
    for entry in entries {
        if let Some(template) = template(entry, diagnostics) {
            templates.push(template.value);
        }
    }
    (templates.len() == entries.len()).then_some(templates)
}

/// A text with placeholders that a process can be given.
fn template(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Spanned<Template>> {
    let text = diagnostics.text(node)?;
    if text.value.contains('\0') {
        diagnostics.error(
            DiagnosticCode::BadValue,
            text.span,
            "a text for a process cannot hold a zero byte",
        );
        return None;
    }
    secrecy::inspect_text(&text, diagnostics);
    Some(Spanned::new(Template::read(&text, diagnostics), text.span))
}

fn retry(node: &Node, diagnostics: &mut Diagnostics<'_>) -> RetryDraft {
    let Some(fields) = Fields::read(node, &keys::RETRY, diagnostics) else {
        return RetryDraft::default();
    };
    let backoff = fields.get("backoff");
    for name in fields.present(&["cap", "jitter"]) {
        if backoff.is_none() {
            let span = fields.get(name).map_or(fields.span, |node| node.span);
            let message = format!("`{name}` says something of the wait, and there is no `backoff`");
            diagnostics
                .error(DiagnosticCode::Conflict, span, message)
                .hint("add `backoff`, such as `backoff: 1s`");
        }
    }
    RetryDraft {
        attempts: fields
            .get("attempts")
            .and_then(|node| diagnostics.integer(node, 1, 100))
            .and_then(|number| u32::try_from(number).ok()),
        backoff: backoff.and_then(|node| diagnostics.duration(node)),
        cap: fields.get("cap").and_then(|node| diagnostics.duration(node)),
        jitter: fields.get("jitter").and_then(|node| diagnostics.share(node)),
    }
}

fn pausing(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<bool> {
    diagnostics.choice(node, &[("stop", false), ("pause", true)])
}

/// Tells what keeps a text from naming an item, a runner or a group.
fn check_name(what: &str, name: &Spanned<String>, diagnostics: &mut Diagnostics<'_>) {
    let text = name.value.as_str();
    let wrong = text.chars().find(|c| !(c.is_alphanumeric() || "_-./".contains(*c)));
    let message = if text.is_empty() {
        format!("the name of this {what} is empty")
    } else if text.len() > MAX_NAME_BYTES {
        format!(
            "the name of this {what} has {} bytes; at most {MAX_NAME_BYTES} are allowed",
            text.len()
        )
    } else if let Some(wrong) = wrong {
        format!("{:?} cannot stand in the name of {} `{}`", wrong, article(what), shorten(text))
    } else if !text.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        format!(
            "the name of {} begins with a letter, a digit or `_`, not as `{}` does",
            article(what),
            shorten(text)
        )
    } else if RESERVED.contains(&text) {
        format!("`{text}` is what placeholders call something else")
    } else {
        return;
    };
    diagnostics
        .error(DiagnosticCode::BadId, name.span, message)
        .hint("names are made of letters, digits, `_`, `-`, `.` and `/`");
}

fn article(what: &str) -> String {
    format!("{} {what}", if what.starts_with('i') { "an" } else { "a" })
}

impl RunDraft {
    pub(super) fn templates(&self) -> &[Template] {
        match self {
            Self::Argv(templates) => templates,
            Self::Shell(_) => &[],
        }
    }
}

/// The runners that an item may name.
pub(super) type Runners = BTreeMap<String, RunnerDraft>;
