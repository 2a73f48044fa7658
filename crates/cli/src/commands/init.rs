//! `antiphon init`: a starter plan that runs as it is.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::command_error::{CommandError, Kind};
use crate::options::Options;
use crate::stdout::Stdout;
use crate::text::{printable, quoted};

/// The plan that is written: nothing but a POSIX shell is needed to run it.
const STARTER: &str = include_str!("init/starter.yaml");

/// Write a starter plan that runs as it is
///
/// The plan needs nothing but a shell, and shows needs, an output that another item uses by name, a
/// retry and a budget. An existing file is never overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan file
    #[arg(value_name = "FILE", default_value = "plan.yaml")]
    file: PathBuf,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let shown = printable(&self.file.display().to_string()).into_owned();
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => CommandError::new(
                Kind::Usage,
                format!("{shown} already exists; nothing was written"),
            )
            .with_hint("choose another name, as in `antiphon init other.yaml`"),
            _ => CommandError::new(Kind::State, format!("could not write {shown}: {error}")),
        };
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&self.file).map_err(failed)?;
        file.write_all(STARTER.as_bytes()).map_err(failed)?;
        let mut output = Stdout::open();
        let quoted = quoted(&shown);
        if options.json {
            output.json(&json!({ "file": self.file, "next": format!("antiphon run {quoted}") }))?;
        } else {
            output.line(format!(
                "wrote {shown}; look it over, then run it with\n\n    antiphon run {quoted}"
            ))?;
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
