//! A program to run from the root of the workspace, shown before it runs so that it can be repeated
//! by hand.

use std::process::{Command, Stdio};

/// A program with its arguments.
pub(crate) struct Invocation(Vec<String>);

/// The cargo that started us.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Invocation {
    program("cargo", arguments)
}

/// Any program.
pub(crate) fn program<'a>(
    name: &'a str,
    arguments: impl IntoIterator<Item = &'a str>,
) -> Invocation {
    Invocation(std::iter::once(name).chain(arguments).map(str::to_owned).collect())
}

impl Invocation {
    /// Runs it with its output shown; an exit status other than 0 is a failure.
    pub(crate) fn run(&self) -> Result<(), String> {
        eprintln!("$ {}", self.line());
        let status = self
            .command()
            .status()
            .map_err(|error| format!("cannot start `{}`: {error}", self.0[0]))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{}` ended with {status}", self.line()))
        }
    }

    /// Runs it quietly and gives what it wrote to standard output.
    pub(crate) fn output(&self) -> Result<String, String> {
        let output = self
            .command()
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("cannot start `{}`: {error}", self.0[0]))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("`{}` ended with {}\n{}", self.line(), output.status, said.trim_end()))
        }
    }

    /// Whether it can be started and ends well: how to ask if a tool is installed.
    pub(crate) fn works(&self) -> bool {
        self.output().is_ok()
    }

    /// As one would type it.
    pub(crate) fn line(&self) -> String {
        self.0.join(" ")
    }

    fn command(&self) -> Command {
        // Inside `cargo run` this names the very cargo that runs us, past any other on the path.
        let cargo = std::env::var_os("CARGO").filter(|_| self.0[0] == "cargo");
        let mut command = Command::new(cargo.unwrap_or_else(|| self.0[0].clone().into()));
        command.args(&self.0[1..]);
        command
    }
}
