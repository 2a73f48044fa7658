//! `antiphon completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::command_error::CommandError;
use crate::stdout::Stdout;

/// Print a completion script for a shell
///
/// For bash: `antiphon completions bash > ~/.local/share/bash-completion/completions/antiphon`. For
/// zsh, into a file `_antiphon` in a directory of $fpath; for fish, into
/// ~/.config/fish/completions/antiphon.fish; for elvish and PowerShell, into your shell's
/// startup file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self, mut command: clap::Command) -> Result<ExitCode, CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "antiphon", &mut script);
        let mut output = Stdout::open();
        output.bytes(&script)?;
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
