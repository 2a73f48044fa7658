//! `antiphon deny`: answers a question with no.

use std::process::ExitCode;

use antiphon_server::AnswerRequest;

use super::approval::answering::Answered;
use crate::command_error::CommandError;
use crate::options::Options;

/// Answer a question with no and say why, and return once that is durable
///
/// The first answer stands: the same again changes nothing, and another is refused. Sessions do not answer.
/// Without a running engine the answer is recorded all the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    question: Answered,
    /// Why, for whoever asked and the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let request = AnswerRequest { answer: "no".to_owned(), reason: Some(self.reason) };
        self.question.with(options, &request, "denied")
    }
}
