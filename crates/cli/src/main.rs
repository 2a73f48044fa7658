//! The command line of Antiphon.

mod bench;
mod command_error;
mod commands;
mod state_dir;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let line = commands::CommandLine::parse();
    match line.run() {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}
