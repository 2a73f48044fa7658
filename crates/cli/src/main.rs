//! The command line of Antiphon.

mod access;
mod attendance;
mod bench;
mod command_error;
mod commands;
mod ending;
mod ledger;
mod moment;
mod output;
mod plan_problems;
mod state_dir;
mod table;
mod torture;
mod view;
mod wording;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before anything else: this process may have been started to be a warden.
    antiphon::process::enter();
    let line = commands::CommandLine::parse();
    match line.run() {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
