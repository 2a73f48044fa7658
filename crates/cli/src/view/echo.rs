//! What a single command prints, passed on as it prints it: standard output to standard output,
//! standard error to standard error.

use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use antiphon::coordination::{SessionOutcome, TreeReport};
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, SessionId};
use antiphon::process::{Kept, SessionFolder};
use antiphon::report::in_one_line;
use antiphon::time::LedgerTime;

use crate::colour::painted;
use crate::command_error::CommandError;
use crate::ledger::Ledger;
use crate::run_outcome::RunOutcome;
use crate::stderr;
use crate::stdout::Stdout;
use crate::text::{ShownOutput, printable};
use crate::timestamps::elapsed;

/// Most that is passed on at once, in bytes.
const CHUNK: u64 = 1 << 20;

/// The outputs of the sessions of one coordination, one session at a time.
pub(super) struct Echo {
    ledger: Ledger,
    coordination: CoordinationId,
    stdout: Stdout,
    /// How either output is shown; absent where it is passed on as it is.
    shown: (Option<ShownOutput>, Option<ShownOutput>),
    running: Option<EchoedSession>,
}

/// How much of a session's outputs was passed on.
struct EchoedSession {
    /// Absent where the state directory cannot be opened now: its end brings everything.
    folder: Option<SessionFolder>,
    bound_at: LedgerTime,
    stdout: u64,
    stderr: u64,
}

impl Echo {
    /// With `raw`, a terminal gets what is printed as it is.
    pub(super) fn new(dir: PathBuf, coordination: CoordinationId, raw: bool) -> Self {
        let stdout = Stdout::open();
        let shown = |is_terminal: bool| (is_terminal && !raw).then(ShownOutput::default);
        let shown = (shown(stdout.is_terminal()), shown(std::io::stderr().is_terminal()));
        Self { ledger: Ledger::at(&dir), coordination, stdout, shown, running: None }
    }

    pub(super) fn event(&mut self, recorded: &Recorded) -> Result<(), CommandError> {
        match CoordinationEvent::of(recorded) {
            Ok(CoordinationEvent::SessionBound(bound)) => {
                let session =
                    SessionId { coordination: self.coordination.clone(), number: bound.session };
                let folder = SessionFolder::in_state_directory(&self.ledger.dir, &session).ok();
                self.running =
                    Some(EchoedSession { folder, bound_at: recorded.at, stdout: 0, stderr: 0 });
            }
            Ok(CoordinationEvent::SessionUnbound(unbound)) => {
                let session = self.running.take();
                let (stdout, stderr) =
                    session.as_ref().map_or((0, 0), |session| (session.stdout, session.stderr));
                if let Some(TreeReport { stdout: out, stderr: err, .. }) = unbound.tree.as_deref() {
                    let rest = self.rest(out.as_ref(), stdout)?;
                    self.pass_on(&rest)?;
                    let rest = self.rest(err.as_ref(), stderr)?;
                    tell(&rest, &mut self.shown.1);
                }
                self.pass_on_last()?;
                if unbound.tree.as_deref().is_some_and(|tree| tree.cut) {
                    stderr::say("some of its output was dropped: it printed more than is kept");
                }
                let why = match unbound.outcome {
                    // Whoever asked for its end is told of that, or why the run has ended.
                    SessionOutcome::Success | SessionOutcome::Cancelled => None,
                    SessionOutcome::Timeout => Some(match session {
                        Some(session) => {
                            format!(
                                "timed out after {}",
                                elapsed(recorded.at.since(session.bound_at))
                            )
                        }
                        None => "timed out".to_owned(),
                    }),
                    _ => unbound
                        .text
                        .as_deref()
                        .map(|text| printable(&in_one_line(text)).into_owned()),
                };
                if let Some(why) = why {
                    stderr::say(why);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Passes on what was printed since.
    pub(super) fn tick(&mut self) -> Result<(), CommandError> {
        let Some(session) = &mut self.running else { return Ok(()) };
        let Some(folder) = &session.folder else { return Ok(()) };
        // A folder that is gone, or not there yet: its end brings what is left.
        if let Ok(bytes) = after(folder, Kept::Stderr, session.stderr) {
            session.stderr += bytes.len() as u64;
            tell(&bytes, &mut self.shown.1);
        }
        if let Ok(bytes) = after(folder, Kept::Stdout, session.stdout) {
            session.stdout += bytes.len() as u64;
            self.pass_on(&bytes)?;
        }
        Ok(())
    }

    fn pass_on(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        match &mut self.shown.0 {
            Some(shown) => self.stdout.bytes(shown.take(bytes).as_bytes())?,
            None => self.stdout.bytes(bytes)?,
        }
        self.stdout.flush()
    }

    /// What was kept back of both outputs, until it was known that nothing follows.
    fn pass_on_last(&mut self) -> Result<(), CommandError> {
        if let Some(shown) = &mut self.shown.0 {
            self.stdout.bytes(shown.end().as_bytes())?;
            self.stdout.flush()?;
        }
        if let Some(shown) = &mut self.shown.1 {
            tell(shown.end().as_bytes(), &mut None);
        }
        Ok(())
    }

    pub(super) fn end(&mut self, outcome: &RunOutcome) -> Result<(), CommandError> {
        self.stdout.flush()?;
        let verdict = outcome.verdict.to_string();
        let stop = outcome.stop().map(|stop| format!(": {}", printable(&stop))).unwrap_or_default();
        let painted = painted(&verdict, outcome.verdict);
        stderr::say(format!("{painted}{stop}; `antiphon receipt show {}`", self.coordination));
        Ok(())
    }

    /// What of a recorded output was not passed on yet.
    fn rest(&self, digest: Option<&Digest>, from: u64) -> Result<Vec<u8>, CommandError> {
        let Some(digest) = digest else { return Ok(Vec::new()) };
        let mut bytes = self.ledger.store.blob(digest)?.unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes.split_off(from))
    }
}

fn after(folder: &SessionFolder, kept: Kept, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = folder.open_kept(kept)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(CHUNK).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// That standard error is closed could not be reported anywhere.
fn tell(bytes: &[u8], shown: &mut Option<ShownOutput>) {
    let mut stderr = std::io::stderr().lock();
    let _written = match shown {
        Some(shown) => stderr.write_all(shown.take(bytes).as_bytes()),
        None => stderr.write_all(bytes),
    }
    .and_then(|()| stderr.flush());
}
