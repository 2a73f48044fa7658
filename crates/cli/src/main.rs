//! The command line of Antiphon.

mod awaited;
mod bench;
mod colour;
mod command_error;
mod commands;
mod connection;
mod continuation;
mod describe;
mod diagnostics;
mod earlier_run;
mod follow;
mod given;
mod heard;
mod labels;
mod ledger;
mod named;
mod options;
mod plan_text;
mod run_outcome;
mod runtime;
mod session_end;
mod state_dir;
mod stderr;
mod stdout;
mod table;
mod taken_over;
mod text;
mod timestamps;
mod torture;
mod view;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before anything else: this process may have been started to be a warden.
    antiphon::process::enter();
    let line = match commands::CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return commands::refused(&error),
    };
    match line.run() {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
