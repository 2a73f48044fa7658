//! `antiphon key wait`: until a key is there, or as it should be.

use std::process::ExitCode;

use antiphon::plan::Millis;
use antiphon_server::NeedRequest;

use crate::awaited::wait_for;
use crate::command_error::CommandError;
use crate::commands::gate::decimal;
use crate::given::Given;
use crate::named::SpokenRun;
use crate::options::Options;

/// Wait until a key is there, or is as it should be
///
/// What it is already counts as well. Exits with 12 when the time is over, or the run has ended without
/// it. If no engine runs, one is started that stays as long as it is used. Ctrl-C, SIGTERM and SIGHUP end
/// it with 8.
///
/// Examples:
///   antiphon key wait state/plan
///   antiphon key wait state/phase --equals tests --timeout 10m
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Which key
    #[arg(value_name = "NAME")]
    key: String,
    /// The value that it must be: JSON, or else a text
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    equals: Option<String>,
    /// The lowest number that is enough
    #[arg(long, value_name = "NUMBER", value_parser = decimal, conflicts_with = "equals", allow_negative_numbers = true)]
    at_least: Option<String>,
    /// Wait no longer than this
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Millis>,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let Self { key, equals, at_least, timeout, run } = self;
        let equals = equals.map(|value| Given::read(&value, "the value")?.json_or_text());
        let (key, equals) = (Some(key), equals.transpose()?);
        let need = NeedRequest { key, at_least, equals, ..NeedRequest::default() };
        wait_for(options, &run, need, timeout)
    }
}
