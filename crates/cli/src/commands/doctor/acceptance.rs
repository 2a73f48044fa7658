//! Going on with a ledger that its head mark does not vouch for: the loss is said, the ledger is
//! opened and closed, which records it.

use std::io::Write as _;
use std::path::Path;

use antiphon::Engine;
use antiphon::ledger::{Location, MarkRefusal};

use super::examination::Examination;
use crate::command_error::{CommandError, Kind};
use crate::text::printable;

/// What may be missing.
#[derive(Debug, clap::Args)]
pub(super) struct Acceptance {
    /// Go on with a ledger that is shorter than its head mark or differs from it. What is missing
    /// stays missing; that is recorded
    #[arg(long)]
    accept_shorter: bool,
    /// Go on with a ledger whose head mark is missing or damaged. Nobody can tell then whether its
    /// end is missing; that is recorded
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
        if examination.held {
            return Err(CommandError::new(
                Kind::State,
                "an engine holds the ledger, so its head mark has been accepted already",
            ));
        }
        let Some(refusal) = &examination.refusal else {
            return Err(CommandError::new(
            Kind::Usage,
            "there is nothing to accept: the head mark does not keep the ledger from being opened",
        )
        .with_hint("leave --accept-shorter and --accept-missing-mark away"));
        };
        let (flag, given, loss) = match refusal {
        MarkRefusal::Shorter { ledger, mark, .. } => {
            let missing = mark.commit.number.0.saturating_sub(ledger.number.0);
            (
                "--accept-shorter",
                self.accept_shorter,
                match missing {
                    0 => "the ownership that the head mark knows is given up, with whatever was recorded under it".to_owned(),
                    _ => {
                        format!("{missing} commits of acknowledged work are given up: {} is the last that is left", ledger.number)
                    }
                },
            )
        }
        MarkRefusal::Differs { mark, .. } => (
            "--accept-shorter",
            self.accept_shorter,
            format!("what the head mark knows at commit {} is given up for what the ledger has there", mark.commit.number),
        ),
        MarkRefusal::Missing { .. } | MarkRefusal::Unreadable { .. } => (
            "--accept-missing-mark",
            self.accept_missing_mark,
            "nobody can tell any more whether acknowledged work at the end of the ledger is missing".to_owned(),
        ),
    };
        if !given {
            return Err(CommandError::new(
                Kind::Usage,
                format!("this ledger is not opened by the flag that was given: {refusal}"),
            )
            .with_hint(format!("{flag} is the one; then {loss}")));
        }
        let _told = writeln!(anstream::stderr(), "going on: {}", printable(&loss));

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
        Ok(format!("accepted and recorded: {loss}; engines open the ledger again"))
    }
}
