//! `antiphon gate score`: how a gate stands.

use std::process::ExitCode;

use antiphon::keys::GATE_SCALE;
use antiphon_server::KeysRequest;
use serde_json::value::to_raw_value;

use crate::command_error::CommandError;
use crate::commands::key::change::change;
use crate::named::SpokenRun;
use crate::options::Options;

/// Digits behind the point of a score.
const PLACES: usize = GATE_SCALE.ilog10() as usize;

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

/// Reads a decimal number as a whole number of millionths.
fn millionths(text: &str) -> Result<i64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || digits.ends_with('.') {
        return Err("it must be a decimal number, such as 0.85".to_owned());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > PLACES {
        return Err(format!("it has more than {PLACES} digits behind its point"));
    }
    let millionths = format!("{sign}{whole}{fraction:0<PLACES$}").parse();
    millionths.map_err(|_| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_read_digit_by_digit_and_never_rounded() {
        let exact = [
            ("0.85", 850_000),
            ("1", 1_000_000),
            ("0.1", 100_000),
            ("-0.000001", -1),
            ("0.2900000000", 290_000),
            ("9223372036854.775807", i64::MAX),
        ];
        for (text, score) in exact {
            assert_eq!(millionths(text), Ok(score), "{text}");
        }
        for wrong in
            ["", ".5", "5.", "0.0000001", "1e-3", "+1", "--1", "nan", "1,5", "9223372036854.775808"]
        {
            assert!(millionths(wrong).is_err(), "{wrong}");
        }
    }
}
