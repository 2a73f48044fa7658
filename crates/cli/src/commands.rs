//! Every command, in one enum and one match; each lives in a file of its own.

mod backup;
mod bench;
mod cancel;
mod completions;
mod continue_;
mod do_;
mod doctor;
mod init;
mod list;
pub(crate) mod log;
mod output;
mod pause;
mod plan;
mod receipt;
mod resume;
pub(crate) mod run;
mod status;
mod torture;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::CommandError;

/// Coordinates workers that are expensive, forgetful and cannot be trusted, and leaves a record
/// that can be checked.
#[derive(Debug, clap::Parser)]
#[command(name = "antiphon", version, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// State directory; by default the nearest `.antiphon` upwards, else one here
    #[arg(long, global = true, env = "ANTIPHON_DIR", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(init::Args),
    Run(run::Args),
    Do(do_::Args),
    Resume(resume::Args),
    Why(why::Args),
    Cancel(cancel::Args),
    Pause(pause::Args),
    Continue(continue_::Args),
    Status(status::Args),
    Plan(plan::Args),
    Verify(verify::Args),
    Receipt(receipt::Args),
    Log(log::Args),
    Output(output::Args),
    List(list::Args),
    Doctor(doctor::Args),
    Backup(backup::Args),
    Bench(bench::Args),
    Torture(torture::Args),
    Completions(completions::Args),
}

impl CommandLine {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let Self { global, command } = self;
        match command {
            Command::Init(args) => args.run(&global),
            Command::Run(args) => args.run(&global),
            Command::Do(args) => args.run(&global),
            Command::Resume(args) => args.run(&global),
            Command::Why(args) => args.run(&global),
            Command::Cancel(args) => args.run(&global),
            Command::Pause(args) => args.run(&global),
            Command::Continue(args) => args.run(&global),
            Command::Status(args) => args.run(&global),
            Command::Plan(args) => args.run(&global),
            Command::Verify(args) => args.run(&global),
            Command::Receipt(args) => args.run(&global),
            Command::Log(args) => args.run(&global),
            Command::Output(args) => args.run(&global),
            Command::List(args) => args.run(&global),
            Command::Doctor(args) => args.run(&global),
            Command::Backup(args) => args.run(&global),
            Command::Bench(args) => args.run(&global),
            Command::Torture(args) => args.run(&global),
            Command::Completions(args) => args.run(),
        }
    }
}
