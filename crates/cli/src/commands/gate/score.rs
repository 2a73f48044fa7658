//! `antiphon gate score`: how a gate stands.

use std::process::ExitCode;

use antiphon::keys::millionths;
use antiphon_server::KeysRequest;
use serde_json::value::to_raw_value;

use crate::command_error::CommandError;
use crate::commands::key::change::change;
use crate::named::SpokenRun;
use crate::options::Options;

/// Set the score of a gate, and return once that is durable
///
/// It is kept in the key `gate/NAME`, as a whole number of millionths: nothing of it is rounded.
///
/// Examples:
///   antiphon gate score coverage 0.85
///   antiphon gate score loss -1.5 --run nightly
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Which gate
    #[arg(value_name = "NAME")]
    gate: String,
    /// A decimal number with at most six digits behind its point
    #[arg(value_name = "SCORE", value_parser = millionths, allow_negative_numbers = true)]
    score: i64,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let Self { gate, score, run } = self;
        let value = to_raw_value(&score).map_err(CommandError::internal)?;
        let set = [(format!("gate/{gate}"), value)].into();
        let request = KeysRequest { set, ..KeysRequest::default() };
        change(options, &run, &request, &format!("gate {gate} scored"))
    }
}
