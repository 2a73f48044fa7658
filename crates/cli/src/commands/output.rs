//! `antiphon output`: what a session printed.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use antiphon::coordination::TreeReport;
use antiphon::digest::Digest;
use antiphon::event::{AggregateEvent as _, CoordinationEvent, SessionUnbound};
use antiphon::id::{CoordinationId, SessionId, StreamName};
use antiphon::process::{Kept, SessionFolder};
use serde_json::json;

use crate::command_error::{CommandError, Kind};
use crate::ledger::{self, Ledger, unknown_item};
use crate::options::Options;
use crate::stdout::Stdout;
use crate::text::ShownOutput;

/// Print the output of an item's session
///
/// Prints the output of the item's last session, unless another is given; of a running one, what it
/// has printed so far. Its standard output goes to standard output, its standard error to standard
/// error. For a function, prints its result. On a terminal, control characters are spelled out
/// unless --raw is given; a file or a pipe gets the output as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "ID", value_parser = ledger::coordination)]
    id: CoordinationId,
    /// The item
    #[arg(value_name = "ITEM")]
    work: String,
    /// Number of the session; `antiphon log ID` shows them
    #[arg(long, value_name = "N")]
    session: Option<u64>,
    /// Print control characters as they are, also on a terminal, which obeys them
    #[arg(long)]
    raw: bool,
}

/// A session of the item.
struct FoundSession {
    number: u64,
    /// Absent while it runs.
    end: Option<Box<SessionUnbound>>,
}

/// What it printed.
struct Printed {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    cut: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        ledger.head(&StreamName::Coordination(self.id.clone()))?;
        let Some(found) = self.find(&ledger)? else { return Err(self.nothing(&ledger)?) };
        let printed = self.printed(&ledger, &found)?;
        let mut output = Stdout::open();
        if options.json {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let Printed { stdout, stderr, cut } = &printed;
            output.json(&json!({ "session": found.number, "stdout": text(stdout), "stderr": text(stderr), "cut": cut }))?;
            output.finish()?;
            return Ok(ExitCode::SUCCESS);
        }
        let shown = |bytes: Vec<u8>, is_terminal: bool| match is_terminal && !self.raw {
            true => ShownOutput::of(&bytes).into_bytes(),
            false => bytes,
        };
        output.bytes(&shown(printed.stdout, output.is_terminal()))?;
        output.finish()?;
        let mut stderr = std::io::stderr().lock();
        let bytes = shown(printed.stderr, stderr.is_terminal());
        // That standard error is closed could not be reported anywhere.
        let _written = stderr.write_all(&bytes).and_then(|()| stderr.flush());
        Ok(ExitCode::SUCCESS)
    }

    /// The session that is meant.
    fn find(&self, ledger: &Ledger) -> Result<Option<FoundSession>, CommandError> {
        let mut found: Option<FoundSession> = None;
        ledger.each_event(&StreamName::Coordination(self.id.clone()), |event| {
            match CoordinationEvent::of(event) {
                Ok(CoordinationEvent::SessionBound(bound))
                    if self.means(bound.work.as_str(), bound.session) =>
                {
                    found = Some(FoundSession { number: bound.session, end: None });
                }
                Ok(CoordinationEvent::SessionUnbound(unbound))
                    if self.means(unbound.work.as_str(), unbound.session) =>
                {
                    found = Some(FoundSession {
                        number: unbound.session,
                        end: Some(Box::new(unbound)),
                    });
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn means(&self, work: &str, session: u64) -> bool {
        work == self.work && self.session.is_none_or(|wanted| wanted == session)
    }

    fn printed(&self, ledger: &Ledger, found: &FoundSession) -> Result<Printed, CommandError> {
        let Some(end) = &found.end else {
            let session = SessionId { coordination: self.id.clone(), number: found.number };
            let unread = |error| {
                let problem = format!("cannot read what session {session} prints: {error}");
                CommandError::new(Kind::State, problem)
            };
            let folder =
                SessionFolder::in_state_directory(&ledger.dir, &session).map_err(unread)?;
            let read = |kept| folder.read(kept).map_err(unread);
            return Ok(Printed {
                stdout: read(Kept::Stdout)?,
                stderr: read(Kept::Stderr)?,
                cut: false,
            });
        };
        Ok(match end.tree.as_deref() {
            Some(TreeReport { stdout, stderr, cut, .. }) => Printed {
                stdout: blob(ledger, stdout.as_ref())?,
                stderr: blob(ledger, stderr.as_ref())?,
                cut: *cut,
            },
            None => Printed {
                stdout: blob(ledger, end.output.as_ref())?,
                stderr: Vec::new(),
                cut: false,
            },
        })
    }

    fn nothing(&self, ledger: &Ledger) -> Result<CommandError, CommandError> {
        let (id, work) = (&self.id, &self.work);
        let run = ledger.replayed(id)?;
        if run.work_tracking(work).is_none() {
            return Ok(unknown_item(&run, work));
        }
        let refusal = |what: String| CommandError::new(Kind::Usage, what);
        Ok(match self.session {
            None => refusal(format!("no session of {work} has started"))
                .with_hint(format!("`antiphon why {id} {work}` shows why")),
            Some(session) => refusal(format!("session {session} of {id} is not one of {work}"))
                .with_hint(format!("`antiphon log {id} --work {work}` shows its sessions")),
        })
    }
}

/// Evidence that is gone without a record of its erasure is damage, which `verify` tells.
fn blob(ledger: &Ledger, digest: Option<&Digest>) -> Result<Vec<u8>, CommandError> {
    let Some(digest) = digest else { return Ok(Vec::new()) };
    ledger.store.blob(digest)?.ok_or_else(|| {
        CommandError::new(
            Kind::State,
            format!("the output {digest} is missing: it was erased or lost"),
        )
        .with_hint("`antiphon verify` shows which")
    })
}
