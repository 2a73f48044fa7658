//! Every command, in one enum and one match; each lives in a file of its own.

mod approval;
mod approve;
mod ask;
mod attach;
mod backup;
mod bench;
mod budget;
mod cancel;
mod completions;
mod context;
mod continue_;
mod deny;
mod do_;
mod doctor;
mod ended;
mod gate;
mod init;
mod key;
mod list;
mod log;
mod logs;
mod output;
mod pause;
mod plan;
mod prune;
mod receipt;
mod record;
mod resume;
mod retry;
mod route;
mod run;
mod serve;
mod show;
mod signal;
mod status;
mod torture;
mod verify;
mod wait;
mod waiting;
mod why;
mod work;

use std::process::ExitCode;

use crate::command_error::CommandError;
use crate::options::Options;
use crate::timestamps;

/// Runs workers that are expensive, forgetful and not to be trusted, and leaves a record that can
/// be checked.
#[derive(Debug, clap::Parser)]
#[command(name = "antiphon", version, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(init::Args),
    Run(run::Args),
    Do(do_::Args),
    Resume(resume::Args),
    Retry(retry::Args),
    Status(status::Args),
    List(list::Args),
    Show(show::Args),
    Logs(logs::Args),
    Output(output::Args),
    Why(why::Args),
    Attach(attach::Args),
    Wait(wait::Args),
    Signal(signal::Args),
    Key(key::Args),
    Gate(gate::Args),
    Work(work::Args),
    Ask(ask::Args),
    Waiting(waiting::Args),
    Approve(approve::Args),
    Deny(deny::Args),
    Route(route::Args),
    Context(context::Args),
    Budget(budget::Args),
    Pause(pause::Args),
    Continue(continue_::Args),
    Cancel(cancel::Args),
    Plan(plan::Args),
    Receipt(receipt::Args),
    Verify(verify::Args),
    Log(log::Args),
    Serve(serve::Args),
    Prune(prune::Args),
    Doctor(doctor::Args),
    Backup(backup::Args),
    Bench(bench::Args),
    Torture(torture::Args),
    Completions(completions::Args),
}

impl CommandLine {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let Self { options, command } = self;
        if options.utc {
            timestamps::use_utc();
        }
        match command {
            Command::Init(args) => args.run(&options),
            Command::Run(args) => args.run(&options),
            Command::Do(args) => Ok(args.run(&options)),
            Command::Resume(args) => args.run(&options),
            Command::Retry(args) => args.run(&options),
            Command::Serve(args) => args.run(&options),
            Command::Attach(args) => args.run(&options),
            Command::Wait(args) => args.run(&options),
            Command::Signal(args) => args.run(&options),
            Command::Key(args) => args.run(&options),
            Command::Gate(args) => args.run(&options),
            Command::Work(args) => args.run(&options),
            Command::Ask(args) => args.run(&options),
            Command::Waiting(args) => args.run(&options),
            Command::Approve(args) => args.run(&options),
            Command::Deny(args) => args.run(&options),
            Command::Route(args) => args.run(&options),
            Command::Context(args) => args.run(&options),
            Command::Budget(args) => args.run(&options),
            Command::Why(args) => args.run(&options),
            Command::Cancel(args) => args.run(&options),
            Command::Pause(args) => args.run(&options),
            Command::Continue(args) => args.run(&options),
            Command::Status(args) => args.run(&options),
            Command::Plan(args) => args.run(&options),
            Command::Verify(args) => args.run(&options),
            Command::Receipt(args) => args.run(&options),
            Command::Show(args) => args.run(&options),
            Command::Logs(args) => args.run(&options),
            Command::Log(args) => args.run(&options),
            Command::Output(args) => args.run(&options),
            Command::List(args) => args.run(&options),
            Command::Doctor(args) => args.run(&options),
            Command::Backup(args) => args.run(&options),
            Command::Prune(args) => args.run(&options),
            Command::Bench(args) => args.run(&options),
            Command::Torture(args) => args.run(&options),
            Command::Completions(args) => args.run(<Self as clap::CommandFactory>::command()),
        }
    }
}

/// Reports a command line that cannot be understood, or shows what it asks for. `do` is a wrapper,
/// also where it is called wrongly.
pub(crate) fn refused(error: &clap::Error) -> ExitCode {
    // That nobody reads it could not be reported anywhere.
    let _written = error.print();
    let code = error.exit_code();
    match u8::try_from(code) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) if is_do() => do_::TROUBLE.into(),
        Ok(code) => code.into(),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Whether the command line names `do`, as far as it can be understood.
fn is_do() -> bool {
    let line = <CommandLine as clap::CommandFactory>::command().ignore_errors(true);
    line.try_get_matches().is_ok_and(|found| found.subcommand_name() == Some("do"))
}
