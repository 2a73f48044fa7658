//! `antiphon gate wait`: until a gate is passed.

use std::process::ExitCode;

use antiphon::keys::millionths;
use antiphon::plan::Millis;
use antiphon_server::NeedRequest;

use crate::awaited::wait_for;
use crate::command_error::CommandError;
use crate::named::SpokenRun;
use crate::options::Options;

/// Wait until a gate has a score that is high enough
///
/// A score that it has already counts as well. Exits with 12 when the time is over, or the run has ended
/// without one. If no engine runs, one is started that stays as long as it is used. Ctrl-C, SIGTERM and
/// SIGHUP end it with 8.
///
/// Examples:
///   antiphon gate wait coverage --at-least 0.8
///   antiphon gate wait coverage --at-least 0.8 --timeout 10m
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Which gate
    #[arg(value_name = "NAME")]
    gate: String,
    /// The lowest score that is enough
    #[arg(long, value_name = "SCORE", value_parser = decimal, allow_negative_numbers = true)]
    at_least: String,
    /// Wait no longer than this
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Millis>,
    #[command(flatten)]
    run: SpokenRun,
}

/// A number that scores are compared with, as it was written.
pub(in crate::commands) fn decimal(text: &str) -> Result<String, String> {
    millionths(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let (gate, at_least) = (Some(self.gate), Some(self.at_least));
        let need = NeedRequest { gate, at_least, ..NeedRequest::default() };
        wait_for(options, &self.run, need, self.timeout)
    }
}
