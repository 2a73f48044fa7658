//! `antiphon approve`: answers a question with yes.

use std::process::ExitCode;

use antiphon_server::AnswerRequest;

use super::approval::answering::Answered;
use crate::command_error::CommandError;
use crate::options::Options;

/// Answer a question with yes, and return once that is durable
///
/// The first answer stands: the same again changes nothing, and another is refused. Sessions do not answer.
/// Without a running engine the answer is recorded all the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    question: Answered,
    /// Why, for whoever asked and the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let request = AnswerRequest { answer: "yes".to_owned(), reason: self.reason };
        self.question.with(options, &request, "approved")
    }
}
