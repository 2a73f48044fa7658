//! `antiphon completions` as the shells see it.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use crate::common::Fixture;

/// Every command that `--help` names.
fn commands(fixture: &Fixture) -> Vec<String> {
    let help = String::from_utf8(fixture.output("--help").stdout).unwrap();
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    listed
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split(' ')
                .next()
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
        })
        .collect()
}

/// What a shell says of a script, without running it; nothing if there is no such shell.
fn refused(shell: &str, arguments: &[&str], script: &[u8]) -> Option<String> {
    let child = Command::new(shell)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    child.stdin.take().unwrap().write_all(script).unwrap();
    let output = child.wait_with_output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_shell_is_told_every_command() {
    let fixture = Fixture::empty();
    let commands = commands(&fixture);
    assert!(commands.len() > 10 && commands.contains(&"completions".to_owned()), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script =
            String::from_utf8(fixture.output(&format!("completions {shell}")).stdout).unwrap();
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell} is not told of {command}");
        }
    }
}

#[test]
fn shells_that_are_here_can_read_what_they_are_given() {
    let fixture = Fixture::empty();
    for (shell, arguments) in
        [("bash", ["-n"].as_slice()), ("zsh", &["-n"]), ("fish", &["--no-execute"])]
    {
        let script = fixture.output(&format!("completions {shell}")).stdout;
        assert_eq!(refused(shell, arguments, &script), None, "{shell}");
    }
}

#[test]
fn a_shell_that_nobody_knows_is_refused() {
    let said = Fixture::empty().run("completions tcsh");
    assert!(
        said.contains("[possible values: bash, elvish, fish, powershell, zsh]")
            && said.ends_with("--- exit 2\n"),
        "{said}"
    );
}
