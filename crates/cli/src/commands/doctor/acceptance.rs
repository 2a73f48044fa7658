//! Going on with a ledger that its head mark does not vouch for: the loss is said, the ledger is
//! opened and closed, which records it.

use std::path::Path;

use antiphon::Engine;
use antiphon::ledger::{Location, MarkRefusal};

use super::examination::Examination;
use crate::command_error::{CommandError, Kind};
use crate::stderr;
use crate::text::printable;

/// What may be missing.
#[derive(Debug, clap::Args)]
pub(super) struct Acceptance {
    /// Accept a ledger that is shorter than its head mark or differs from it. What is missing stays
    /// missing, and this is recorded
    #[arg(long)]
    accept_shorter: bool,
    /// Accept a ledger whose head mark is missing or damaged. Nothing can tell then whether its end
    /// is missing, and this is recorded
    #[arg(long)]
    accept_missing_mark: bool,
}

impl Acceptance {
    pub(super) fn is_given(&self) -> bool {
        self.accept_shorter || self.accept_missing_mark
    }

    /// Opens the ledger with what was accepted, and closes it again. Returns what was done.
    pub(super) fn carry_out(
        &self,
        dir: &Path,
        examination: &Examination,
    ) -> Result<String, CommandError> {
        if examination.is_held() {
            return Err(CommandError::new(
                Kind::State,
                "an engine holds the ledger, so its head mark is already accepted",
            ));
        }
        let Some(refusal) = &examination.refusal else {
            return Err(CommandError::new(
            Kind::Usage,
            "there is nothing to accept: the head mark does not keep the ledger from being opened",
        )
        .with_hint("run without --accept-shorter and --accept-missing-mark"));
        };
        let (flag, given, loss) = match refusal {
        MarkRefusal::Shorter { ledger, mark, .. } => {
            let missing = mark.commit.number.0.saturating_sub(ledger.number.0);
            (
                "--accept-shorter",
                self.accept_shorter,
                match missing {
                    0 => "the epoch in the head mark is discarded, with everything recorded under it".to_owned(),
                    1 => format!("1 commit of acknowledged work is discarded; the last one left is {}", ledger.number),
                    _ => {
                        format!("{missing} commits of acknowledged work are discarded; the last one left is {}", ledger.number)
                    }
                },
            )
        }
        MarkRefusal::Differs { mark, .. } => (
            "--accept-shorter",
            self.accept_shorter,
            format!("commit {} in the head mark is replaced by the ledger's own commit", mark.commit.number),
        ),
        MarkRefusal::OtherLedger { theirs, .. } => (
            "--accept-shorter",
            self.accept_shorter,
            format!("the head mark of ledger {theirs} is replaced by the ledger's own"),
        ),
        MarkRefusal::Missing { .. } | MarkRefusal::Unreadable { .. } => (
            "--accept-missing-mark",
            self.accept_missing_mark,
            "nothing can tell any more whether acknowledged work at the end of the ledger is missing".to_owned(),
        ),
    };
        if !given {
            return Err(CommandError::new(
                Kind::Usage,
                format!("this flag does not open the ledger: {refusal}"),
            )
            .with_hint(format!("use {flag}; then {loss}")));
        }
        stderr::say(format!("continuing: {}", printable(&loss)));

        let mut location = Location::directory(dir);
        if self.accept_shorter {
            location = location.accept_shorter();
        }
        if self.accept_missing_mark {
            location = location.accept_missing_mark();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(CommandError::internal)?;
        runtime.block_on(async {
            // Nothing is registered, so no session starts.
            let engine = Engine::builder_at(&location)?.start().await?;
            engine.close().await?;
            Ok::<(), CommandError>(())
        })?;
        Ok(format!("accepted and recorded: {loss}; engines can open the ledger again"))
    }
}
