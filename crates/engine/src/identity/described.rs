//! What a run is started with, key by key, in the words of a plan file.

use std::collections::BTreeMap;
use std::fmt;

use antiphon_core::coordination::{CoordinationConfig, Runner, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::event::Started;
use serde_json::{Map, Value};

use crate::plan::{Bytes, CommandSpec, Millis, PlanSpec, StdinSource};

/// Most of a value that is shown, in characters.
const SHOWN_CHARS: usize = 60;

/// Levels of nested plans that are looked into: as many as there can be.
const MAX_LEVELS: usize = 8;

/// The key of the run that a retry retries.
const RETRIED: &str = "retried run";

/// What keys say.
pub(super) type Keys = BTreeMap<String, Shown>;

/// A value, compared whole and shown shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown(String);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        let start: String = chars.by_ref().take(SHOWN_CHARS).collect();
        let rest = if chars.next().is_some() { ".." } else { "" };
        write!(f, "`{start}{rest}`")
    }
}

/// A recorded value as a person would write it.
pub(super) fn shown(value: &Value) -> Shown {
    Shown(match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) if parts.iter().any(is_output) => parts.iter().map(part).collect(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| shown(value).0).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{name}: {}", shown(value).0);
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.to_string(),
    })
}

/// Whether a part of a text is an output that is filled in later.
fn is_output(part: &Value) -> bool {
    part.get("output_of").is_some() || part.get("outputs_of").is_some()
}

fn part(part: &Value) -> String {
    let item = part.get("output_of").and_then(Value::as_str);
    match (part, item, part.get("name").and_then(Value::as_str)) {
        (Value::String(text), ..) => text.clone(),
        (_, Some(item), Some(name)) => format!("{{{{{item}.output.{name}}}}}"),
        (_, Some(item), None) => format!("{{{{{item}.output}}}}"),
        _ => "{{..}}".to_owned(),
    }
}

/// The keys of a plan itself.
pub(super) fn settings(config: &CoordinationConfig) -> Keys {
    of_plan(&serde_json::to_value(config).unwrap_or_default(), "")
}

/// The same as they were recorded.
pub(super) fn settings_of_start(started: &Started) -> Keys {
    of_plan(&serde_json::to_value(started).unwrap_or_default(), "/policies")
}

/// The same as the plan of a retry says them.
pub(super) fn settings_of_plan(started: &Started) -> Keys {
    let mut keys = settings_of_start(started);
    keys.remove(RETRIED);
    keys
}

fn of_plan(value: &Value, policies: &str) -> Keys {
    let mut keys = Keys::new();
    let mut put = |key: &str, value: Option<&Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            keys.insert(key.to_owned(), shown(value));
        }
    };
    put("name", value.get("name"));
    put("mode", value.get("mode"));
    put("concurrency", value.get("concurrency"));
    put("budget.sessions", value.pointer("/budget/max_episodes"));
    put("budget.duration", value.pointer("/budget/max_duration_ticks").map(time).as_ref());
    put("budget.tokens", value.pointer("/budget/max_tokens"));
    put("budget.cost", value.pointer("/budget/max_cost"));
    put("budget currency", value.pointer("/budget/currency"));
    let policy = |name: &str| value.pointer(&format!("{policies}/{name}"));
    put("retry.attempts", policy("max_attempts").or_else(|| policy("max_attempts_per_work")));
    put("breaker.failures", policy("breaker"));
    put("breaker.then", policy("on_tripped"));
    put("on_exhausted", policy("on_exhausted"));
    put("planner", policy("planner"));
    put(RETRIED, value.pointer("/forerunner/coordination"));
    for (name, label) in members(value.get("labels")) {
        put(&format!("labels.{name}"), Some(label));
    }
    for (item, width) in members(value.get("widths")) {
        put(&format!("{item}.width"), Some(width));
    }
    keys
}

/// The keys of each item and of those of nested plans, by the item with those that it is nested in
/// before it.
pub(super) fn items(
    work: &[WorkSpec],
    blob: &mut dyn FnMut(&Digest) -> Option<Vec<u8>>,
) -> BTreeMap<String, Keys> {
    let mut found = BTreeMap::new();
    below("", work, MAX_LEVELS, blob, &mut found);
    found
}

fn below(
    above: &str,
    work: &[WorkSpec],
    levels: usize,
    blob: &mut dyn FnMut(&Digest) -> Option<Vec<u8>>,
    found: &mut BTreeMap<String, Keys>,
) {
    for item in work {
        let name = format!("{above}{}", item.id);
        let mut keys = of_item(item);
        let description = item.input.and_then(|input| blob(&input));
        match (&item.runner, &description) {
            (Runner::Process { .. }, Some(bytes)) => {
                if let Ok(command) = CommandSpec::from_bytes(bytes) {
                    keys.extend(of_command(&command));
                }
                let others = item.capable.iter().flat_map(|capable| &capable.inputs);
                for (runner, input) in others.filter(|(_, input)| Some(**input) != item.input) {
                    let command =
                        blob(input).and_then(|bytes| CommandSpec::from_bytes(&bytes).ok());
                    let of_runner = command.as_ref().map(of_command).unwrap_or_default();
                    keys.extend(
                        of_runner
                            .into_iter()
                            .map(|(key, value)| (format!("{runner}.{key}"), value)),
                    );
                }
            }
            (Runner::Nested { .. }, Some(bytes)) if levels > 0 => {
                if let Ok(plan) = PlanSpec::from_bytes(bytes) {
                    let inside = format!("{name}/");
                    below(&inside, &plan.work, levels - 1, blob, found);
                    let plan = PlanSpec { forerunner: None, ..plan };
                    let own = plan.config().map(|config| settings(&config)).unwrap_or_default();
                    let own = own.into_iter().map(|(key, value)| (format!("plan.{key}"), value));
                    keys.extend(own);
                }
            }
            (_, _) => {
                let input = item.input.map(|input| Shown(input.to_string()));
                keys.extend(input.map(|input| ("input".to_owned(), input)));
            }
        }
        found.insert(name, keys);
    }
}

fn of_item(item: &WorkSpec) -> Keys {
    let value = serde_json::to_value(item).unwrap_or_default();
    let mut keys = Keys::new();
    for (name, value) in members(Some(&value)).filter(|(_, value)| !value.is_null()) {
        let (key, value) = match name.as_str() {
            // What a retry has made of an item is no part of its plan.
            "id" | "input" | "reused" | "again" => continue,
            "runner" => match &item.runner {
                Runner::Process { .. } => ("runner", Value::from("a command")),
                Runner::Nested { .. } => ("runner", Value::from("a plan")),
                _ => ("runner", value.clone()),
            },
            "capable" => ("capabilities", value["wanted"].clone()),
            "agent" => ("as", value.clone()),
            "attempts" => ("retry.attempts", value.clone()),
            "backoff" => ("retry.backoff", value.clone()),
            "timeout_ticks" => ("timeout", time(value)),
            "max_tokens" => ("limits.tokens", value.clone()),
            "max_cost" => ("limits.cost", value.clone()),
            other => (other, value.clone()),
        };
        keys.insert(key.to_owned(), shown(&value));
    }
    keys
}

fn of_command(command: &CommandSpec) -> Keys {
    let value = serde_json::to_value(command).unwrap_or_default();
    let mut keys = Keys::new();
    let mut put = |key: String, value: Value| drop(keys.insert(key, shown(&value)));
    for (name, value) in members(Some(&value)) {
        match name.as_str() {
            "schema" => {}
            "run" => members(Some(value)).for_each(|(how, command)| {
                let key = if how == "argv" { "command" } else { "shell" };
                put(key.to_owned(), command.clone());
            }),
            "dir" => put("directory".to_owned(), value.clone()),
            "grace" => put("grace".to_owned(), time(value)),
            "env" => members(Some(value)).for_each(|(name, variable)| {
                let text = variable.get("text").unwrap_or(variable);
                put(format!("env.{name}"), text.clone());
            }),
            "limits" => members(Some(value)).for_each(|(limit, value)| {
                let value = match limit.as_str() {
                    "cpu" => time(value),
                    "memory" | "file_size" | "output" => size(value),
                    _ => value.clone(),
                };
                put(format!("limits.{limit}"), value);
            }),
            "stdin" => {
                let kept = match &command.stdin {
                    Some(StdinSource::Kept(kept)) => Some(Digest::of(kept.bytes()).to_string()),
                    _ => None,
                };
                let kept = kept.map(|kept| format!("{}.. (SHA-256)", &kept[..12]).into());
                put("stdin".to_owned(), kept.unwrap_or_else(|| value.clone()));
            }
            "inputs" => members(Some(value)).for_each(|(name, input)| {
                put(format!("input.{name}"), input_of(input));
            }),
            "outputs" => members(Some(value)).for_each(|(name, output)| {
                put(format!("output.{name}"), output.clone());
            }),
            other => put(other.to_owned(), value.clone()),
        }
    }
    keys
}

/// A value as it is, a file by its path and by what it held.
fn input_of(input: &Value) -> Value {
    if let Some(value) = input.get("value") {
        return value.clone();
    }
    let path = input.pointer("/file/path").map(|path| shown(path).0).unwrap_or_default();
    let held = input.pointer("/file/digest").and_then(Value::as_str);
    match held.and_then(|digest| digest.get(..12)) {
        Some(digest) => Value::from(format!("{digest}.. (SHA-256 of {path})")),
        None => Value::from(path),
    }
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// Milliseconds as plans write them; ticks of plans are milliseconds.
fn time(value: &Value) -> Value {
    value.as_u64().map_or_else(|| value.clone(), |ms| Value::from(Millis(ms).to_string()))
}

fn size(value: &Value) -> Value {
    value.as_u64().map_or_else(|| value.clone(), |bytes| Value::from(Bytes(bytes).to_string()))
}
