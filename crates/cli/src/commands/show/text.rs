//! An item as `antiphon show` prints it for people.

use antiphon::time::WallTime;
use antiphon_server::{Item, ItemAttempt, ItemCommand, ItemNeed, ItemVariable};
use serde_json::Value;

use crate::command_error::CommandError;
use crate::labels::counted;
use crate::session_end::{self, NextTry};
use crate::stdout::Stdout;
use crate::text::{printable, quoted};
use crate::timestamps;

/// Columns of the words at the beginning of a line.
const MARGIN: usize = 14;

/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

pub(super) fn print(item: &Item, output: &mut Stdout) -> Result<(), CommandError> {
    let mut page = Page { output };
    let (run, name) = (&item.run, &item.line.item);
    let typed = quoted(name);
    page.field("run", run)?;
    page.field("item", name)?;
    page.field("state", &item.line.state)?;
    if let Some(group) = &item.line.group {
        page.field("group", group)?;
    }
    if !item.cell.is_empty() {
        page.field("cell", &item.cell.join(", "))?;
    }
    if let Some(reused) = &item.reused {
        let session = reused.session.as_ref();
        let session = session.map_or(String::new(), |id| format!("; session {id} carried it out"));
        page.field("taken over", &format!("from {} of {}{session}", reused.item, reused.run))?;
    }
    if item.command.is_none() {
        page.field("runner", &item.runner)?;
    }
    if let Some(command) = &item.command {
        self::command(command, &mut page)?;
    }
    let needs: Vec<String> = item.needs.iter().map(need).collect();
    page.list("waited for", &needs)?;
    if let Some(ready) = item.ready_ms.filter(|ready| *ready > 0) {
        page.field("ready", &format!("{} before it started", elapsed(ready)))?;
    }
    if item.attempts.is_empty() {
        page.field("attempts", "none")?;
        if let Some(text) = &item.line.text {
            page.field("because", text)?;
        } else if item.reused.is_none() {
            page.field("why", &format!("`antiphon why {run} {typed}` shows what it waits for"))?;
        }
    }
    for each in &item.attempts {
        attempt(each, run, &mut page)?;
    }
    value(item, &mut page)?;
    let printed = item.attempts.iter().any(|attempt| {
        attempt.ended.is_none() && !attempt.nested
            || attempt.stdout.is_some()
            || attempt.stderr.is_some()
    });
    if printed {
        page.field("printed", &format!("`antiphon logs {run} {typed}` shows it"))?;
    }
    Ok(())
}

/// The value that it puts out, if that is short; else the command that prints it.
fn value(item: &Item, page: &mut Page<'_>) -> Result<(), CommandError> {
    let Some(source) = &item.source else { return Ok(()) };
    let what = match source.as_str() {
        "stdout" => "its standard output, as it puts out nothing else",
        _ => "what it put out",
    };
    let text = match &item.value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => {
            let size = item.value_bytes.map(|bytes| format!(", {}", counted(bytes, "byte")));
            let (size, typed) = (size.unwrap_or_default(), quoted(&item.line.item));
            let how = format!("`antiphon output {} {typed}` prints it", item.run);
            return page.field("value", &format!("{what}{size}; {how}"));
        }
    };
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match lines.is_empty() {
        true => page.field("value", &format!("nothing ({what})")),
        false => {
            page.list("value", &lines)?;
            page.field("", &format!("({what})"))
        }
    }
}

fn command(command: &ItemCommand, page: &mut Page<'_>) -> Result<(), CommandError> {
    page.field("command", &command_line(&command.argv))?;
    if !command.filled_in {
        page.field("", "(outputs that are not there yet stand as in the plan)")?;
    }
    page.field("directory", &command.directory)?;
    let variables: Vec<String> = command
        .environment
        .iter()
        .map(|(name, value)| match value {
            ItemVariable::Value(value) => format!("{name}={value}"),
            ItemVariable::Secret(secret) => format!("{name}=[secret {secret}]"),
        })
        .collect();
    page.list("environment", &variables)?;
    match &command.stdin {
        None => {}
        Some(Value::String(text)) => {
            page.list("stdin", &text.lines().map(str::to_owned).collect::<Vec<_>>())?;
        }
        Some(other) => {
            let text = match other["bytes"].as_u64() {
                Some(bytes) => format!("{} that are kept with the run", counted(bytes, "byte")),
                None => format!("the file {}", other["file"].as_str().unwrap_or("")),
            };
            page.field("stdin", &text)?;
        }
    }
    let inputs: Vec<String> =
        command.inputs.iter().map(|(name, input)| format!("{name}: {input}")).collect();
    page.list("inputs", &inputs)?;
    if !command.outputs.is_empty() {
        page.field("outputs", &command.outputs.join(", "))?;
    }
    match &command.check {
        Some(check) => page.field("check", &command_line(check)),
        None => Ok(()),
    }
}

fn attempt(attempt: &ItemAttempt, run: &str, page: &mut Page<'_>) -> Result<(), CommandError> {
    let mut parts = vec![format!("session {}", attempt.session)];
    parts.extend(attempt.runner.as_ref().map(|runner| format!("by {runner}")));
    parts.push(format!("started {}", time(&attempt.started)));
    if attempt.nested {
        parts.push(format!("`antiphon status {run}.{}` shows it", attempt.session));
    }
    let next = attempt.retry_ms.zip(attempt.outcome.as_deref()).and_then(|(retry, outcome)| {
        let ended = attempt.ended.as_deref().and_then(timestamps::of_api);
        let retry = retry.saturating_mul(MILLISECOND);
        // What is deferred waits for a moment, which is named; less than a millisecond of it is cut
        // off from what is left.
        let next = ended.filter(|_| session_end::is_deferred(outcome)).map_or(
            NextTry::In(retry),
            |ended| {
                let until = ended.0.saturating_add(retry);
                NextTry::At(WallTime(until.checked_next_multiple_of(MILLISECOND).unwrap_or(until)))
            },
        );
        next.in_words(outcome)
    });
    match (&attempt.outcome, attempt.took_ms) {
        (Some(outcome), took) => {
            let took = elapsed(took.unwrap_or(0));
            parts.push(format!("{} after {took}", session_end::word(outcome)));
        }
        (None, _) => parts.push("running".to_owned()),
    }
    parts.extend(next);
    // What a failed session says begins with it.
    let is_said = |exit: &String| attempt.text.as_ref().is_some_and(|text| text.starts_with(exit));
    parts.extend(attempt.exit.clone().filter(|exit| !is_said(exit)));
    let said = attempt.text.as_deref();
    let said = said.or_else(|| attempt.outcome.as_deref().and_then(session_end::reason));
    page.field(&format!("attempt {}", attempt.attempt), &parts.join(", "))?;
    if let Some(text) = said {
        page.list("", &text.lines().map(str::to_owned).collect::<Vec<_>>())?;
    }
    if let Some(used) = attempt.used.filter(|used| used.tokens > 0 || used.cost > 0) {
        let estimated = if used.estimated { ", estimated" } else { "" };
        let cost = match used.cost {
            0 => String::new(),
            cost => format!(", cost {}.{:06}", cost / 1_000_000, cost % 1_000_000),
        };
        page.field("", &format!("used {} tokens{cost}{estimated}", used.tokens))?;
    }
    let scores: Vec<String> = attempt
        .scores
        .iter()
        .map(|(name, score)| {
            let sign = if *score < 0 { "-" } else { "" };
            let score = score.unsigned_abs();
            format!("score {name} {sign}{}.{:06}", score / 1_000_000, score % 1_000_000)
        })
        .collect();
    page.list("", &scores)?;
    if attempt.cut {
        page.field("", "some of what it printed was dropped, as it was more than is kept")?;
    }
    page.list("", &attempt.leftovers.iter().map(|left| format!("left {left}")).collect::<Vec<_>>())
}

fn need(need: &ItemNeed) -> String {
    // When a signal or a key was there is in the log.
    if let Some(other) = &need.other {
        return other.clone();
    }
    let what = match (&need.item, &need.group) {
        (Some(item), _) => item.clone(),
        (None, Some(group)) => format!("the group {group}"),
        (None, None) => "something".to_owned(),
    };
    let state = need.state.as_ref().map(|state| format!(" ({state})")).unwrap_or_default();
    match (need.waited_ms, need.unfinished) {
        (Some(waited), _) => format!("{what}{state}, {}", elapsed(waited)),
        (None, _) if need.item.is_some() => format!("{what}{state}, still"),
        (None, unfinished) => format!("{what}, {unfinished} of which unfinished"),
    }
}

/// A time of the API as all times are shown.
fn time(utc: &str) -> String {
    timestamps::of_api(utc).map_or_else(|| utc.to_owned(), timestamps::millis)
}

fn elapsed(ms: u64) -> String {
    timestamps::elapsed(ms.saturating_mul(MILLISECOND))
}

/// Words as a shell would take them.
fn command_line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Lines with a word in front.
struct Page<'a> {
    output: &'a mut Stdout,
}

impl Page<'_> {
    fn field(&mut self, name: &str, text: &str) -> Result<(), CommandError> {
        self.output.line(format!("{name:MARGIN$}{}", printable(text)))
    }

    fn list(&mut self, name: &str, lines: &[String]) -> Result<(), CommandError> {
        for (place, line) in lines.iter().enumerate() {
            self.field(if place == 0 { name } else { "" }, line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_given_to_a_shell() {
        let words = ["sh", "-c", "echo \"it's\" $HOME", ""].map(str::to_owned);
        assert_eq!(command_line(&words), r#"sh -c 'echo "it'\''s" $HOME' ''"#);
    }
}
