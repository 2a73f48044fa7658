//! What a worker writes is shown on a terminal, and never obeyed by it.

use std::path::Path;
use std::process::Command;

use crate::screen::{OnTerminal, Result};

/// What a terminal obeys, in the ways in which it can be written: an escape sequence, a title, a
/// bell, control characters of eight bits as text and as bytes, a return, text turned around.
const HOSTILE: &str = "\\033[2J\\033]0;title\\007\\302\\233\\063\\061m\\233\\063\\061m\\rover\\342\\200\\256back\\177";

fn plan(dir: &Path) -> Result {
    let quoted = "\\\\u001b[2J\\\\u001b]0;t\\\\u0007\\\\u009b31m\\\\rover\\\\u202eback";
    let text = format!(
        "name: \"turned \\u202e around\"\nbudget: {{ sessions: 20, duration: 5m }}\nlabels: {{ by: \"\\u202e\" }}\nwork:\n  \
         bad: {{ command: [sh, -c, 'printf \"{HOSTILE}\"; printf \"{HOSTILE}\" >&2; exit 3'], retry: {{ attempts: 1 }} }}\n  \
         good: {{ command: [sh, -c, 'printf \"{{\\\"output\\\":\\\"{quoted}\\\"}}\" > $ANTIPHON_RESULT; printf \"{HOSTILE}\"'] }}\n"
    );
    Ok(std::fs::write(dir.join("plan.yaml"), text)?)
}

/// Everything that a terminal would have obeyed, other than a colour and the end of a line.
fn obeyed(text: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), text);
    let is_hostile = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    while let Some(at) = rest.find(is_hostile) {
        let here = &rest[at..];
        let colour = here
            .strip_prefix("\u{1b}[")
            .map(|sequence| sequence.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
        rest = match colour.and_then(|after| after.strip_prefix('m')) {
            Some(after) => after,
            None if here.starts_with("\r\n") => &here[2..],
            None => {
                found.push(here.chars().take(12).collect());
                &here[here.chars().next().map_or(0, char::len_utf8)..]
            }
        };
    }
    found
}

#[test]
fn no_command_lets_a_terminal_obey_what_a_worker_wrote() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path())?;
    let shown = |arguments: &[&str], change: fn(&mut Command)| -> Result<String> {
        OnTerminal::start(dir.path(), arguments, (24, 200), change)?.text()
    };
    // In a frame, the screen refuses what a frame does not need.
    let (text, screen, status) =
        OnTerminal::start(dir.path(), &["run", "--id", "r", "plan.yaml"], (24, 200), |_| {})?
            .end()?;
    assert_eq!(status.code(), Some(6), "{text:?}");
    assert!(text.contains("exit 3: \\u{1b}[2J"), "{text:?}");
    assert!(!text.contains(['\u{7}', '\u{9b}', '\u{202e}', '\u{7f}']), "{text:?}");
    assert!(screen.is_clean(), "{text:?}");

    let reason = "\u{1b}[2J\u{9b}31m\u{202e}";
    for arguments in [
        &["run", "--id", "lines", "plan.yaml"][..],
        &["output", "r", "good"],
        &["output", "r", "good", "--json"],
        &["logs", "r"],
        &["logs", "r", "bad"],
        &["logs", "r", "bad", "--json"],
        &["show", "r", "bad"],
        &["show", "r", "bad", "--json"],
        &["log", "r"],
        &["log", "r", "--json"],
        &["status"],
        &["status", "r"],
        &["status", "r", "--json"],
        &["list"],
        &["list", "--json"],
        &["why", "r", "bad"],
        &["receipt", "show", "r"],
        &["receipt", "show", "r", "--json"],
        &["receipt", "export", "r"],
        &["verify"],
        &["plan", "show", "plan.yaml"],
        &["plan", "check", "plan.yaml"],
        &["plan", "check", "no\u{1b}[2J\u{202e}ne.yaml"],
        &["cancel", "r", "--reason", reason],
        &[
            "do",
            "--id",
            "d",
            "--",
            "sh",
            "-c",
            &format!("printf '{HOSTILE}'; printf '{HOSTILE}' >&2; exit 3"),
        ],
        &["log", "d"],
        &["doctor"],
    ] {
        // Lines, and no frame, where it would draw one.
        let lines = |command: &mut Command| {
            if command.get_args().any(|argument| argument == "run") {
                command.env("TERM", "dumb");
            }
        };
        let text = shown(arguments, lines)?;
        assert_eq!(obeyed(&text), Vec::<String>::new(), "{arguments:?}: {text:?}");
        let text =
            shown(arguments, |command| _ = command.env("NO_COLOR", "1").env("TERM", "dumb"))?;
        assert_eq!(obeyed(&text), Vec::<String>::new(), "{arguments:?}: {text:?}");
    }
    Ok(())
}

#[test]
fn output_is_shown_on_a_terminal_passed_on_elsewhere_and_obeyed_where_that_is_asked_for() -> Result
{
    let dir = tempfile::tempdir()?;
    plan(dir.path())?;
    let ran = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .arg("--dir")
            .arg(dir.path().join("state"))
            .args(arguments)
            .current_dir(dir.path())
            .output()
    };
    ran(&["run", "--id", "r", "plan.yaml"])?;
    let bytes = b"\x1b[2J\x1b]0;title\x07\xc2\x9b31m\x9b31m\rover\xe2\x80\xaeback\x7f";
    let piped = ran(&["logs", "r", "bad"])?;
    assert_eq!((&piped.stdout[..], &piped.stderr[..]), (&bytes[..], &bytes[..]));
    let on_terminal =
        |arguments: &[&str]| OnTerminal::start(dir.path(), arguments, (24, 80), |_| {})?.bytes();
    let once = "\\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{9b}31m\\x9b31m\\rover\\u{202e}back\\u{7f}";
    let shown = on_terminal(&["logs", "r", "bad"])?;
    assert_eq!(String::from_utf8(shown)?, format!("{once}{once}"));
    assert_eq!(on_terminal(&["logs", "r", "bad", "--raw"])?, bytes.repeat(2));
    let command = format!("printf '{HOSTILE}'");
    let shown = on_terminal(&["do", "--", "sh", "-c", &command])?;
    assert!(shown.starts_with(once.as_bytes()), "{}", shown.escape_ascii());
    let shown = on_terminal(&["do", "--raw", "--", "sh", "-c", &command])?;
    assert!(shown.starts_with(bytes), "{}", shown.escape_ascii());
    Ok(())
}
