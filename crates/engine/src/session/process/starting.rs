//! A session on its way to run: tried again for as long as its machine has no room for it, which is
//! nobody's failure.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use antiphon_core::coordination::{Report, SessionOutcome};

use super::given::Given;
use super::outputs::OutputsError;
use super::{Processes, StopCause, StopReason};
use crate::mailbox::Unavailable;
use crate::output_files::FilesBefore;
use crate::outside;
use crate::plan::{CommandSpec, Environment, Origin, RenderedStdin};
use crate::process::{Cause, TreeEnd};
use crate::room::shortage_of;
use crate::session::{Failed, SessionContext};
use crate::shortages::WaitEnd;

/// Sessions that are on their way to run at a time. Each takes a thread for a moment, and threads
/// count against the limit of processes, which sessions need themselves.
/// One that found no room is then on its way alone.
pub(super) const STARTS_AT_ONCE: u32 = 8;

/// Largest file that is handed over as standard input, in bytes.
const MAX_STDIN: u64 = 64 << 20;

/// Why a session does not run.
enum NotStarted {
    /// It is refused, and would be again.
    Refused(Failed),
    /// Its machine has no room for it now.
    NoRoom(String),
}

impl NotStarted {
    fn refused(text: String) -> Self {
        Self::Refused(Failed::of(SessionOutcome::SpawnFailed, text))
    }
}

impl From<Unavailable> for NotStarted {
    fn from(error: Unavailable) -> Self {
        match error.shortage() {
            Some(what) => Self::NoRoom(what),
            None => Self::Refused(error.into()),
        }
    }
}

impl From<OutputsError> for NotStarted {
    fn from(error: OutputsError) -> Self {
        match error {
            OutputsError::Unavailable(error) => error.into(),
            OutputsError::TooMuch => Self::refused(error.to_string()),
        }
    }
}

impl Processes {
    /// Runs a session from its start to the end of its tree. As long as there is no room for it,
    /// it waits: no attempt is used up, nothing else fails for it, and other sessions run on.
    pub(super) async fn run(
        &self,
        session: &SessionContext,
    ) -> Result<(CommandSpec, TreeEnd, FilesBefore), Failed> {
        let (id, shortages) = (session.session(), session.shortages());
        let asked = |what: &str| {
            let text = format!("asked to stop before it could be started: {what}");
            // The time that it waited was not its item's: tried again, without an attempt.
            if session.stop_cause() == Some(StopCause::Timeout) {
                let text = format!("its time was over before it could be started: {what}");
                return Failed::deferred_a_moment(text).with_report(Some(Report::default()));
            }
            // What never ran has used nothing.
            Failed::of(SessionOutcome::Cancelled, text).with_report(Some(Report::default()))
        };
        let place = self.wardens.place(|full| shortages.note(id, &full));
        let _place = tokio::select! {
            place = place => place,
            () = session.stop_requested() => {
                return Err(asked("as many sessions run as there is room for"));
            }
        };
        let mut wait = shortages.wait_of(id);
        loop {
            let places = if wait.has_begun() { STARTS_AT_ONCE } else { 1 };
            let what = match self.attempt(session, places).await {
                Ok(ended) => return Ok(ended),
                Err(NotStarted::Refused(failed)) => return Err(failed),
                Err(NotStarted::NoRoom(what)) => what,
            };
            match wait.pause(&what, session.stop_requested()).await {
                Ok(()) => {}
                Err(WaitEnd::Stopped) => return Err(asked(&what)),
                Err(WaitEnd::Over(waited)) => {
                    let waited = waited.as_secs();
                    let text = format!("there was no room for it for {waited} s: {what}");
                    return Err(Failed::of(SessionOutcome::SpawnFailed, text));
                }
            }
        }
    }

    /// Starts it, which takes so many places among those that are being started, and waits for the
    /// end of its tree.
    async fn attempt(
        &self,
        session: &SessionContext,
        places: u32,
    ) -> Result<(CommandSpec, TreeEnd, FilesBefore), NotStarted> {
        let refused = NotStarted::refused;
        let turn = self.starts.acquire_many(places).await;
        let description = session.input_now().await?;
        let description = description
            .ok_or_else(|| refused("the record of its command is missing".to_owned()))?;
        let spec =
            CommandSpec::from_bytes(&description).map_err(|error| refused(error.to_string()))?;
        let origin = origin_of(session).await?;
        let outputs = session.outputs(spec.outputs_filled_in()).await?;
        let mut filled = spec.render(&outputs).map_err(|error| refused(error.to_string()))?;
        let in_the_way = |text: String| match shortage_of(&text) {
            Some(what) => NotStarted::NoRoom(what),
            None => refused(text),
        };
        let stdin = read_stdin(filled.stdin.take()).await.map_err(in_the_way)?;
        let files = look(&spec).await.map_err(in_the_way)?;
        let inherited = inherited(origin);
        let context = session.context_now().await?;
        let given = Given::new(&outputs, context.as_ref());
        let launch = self.launch(session, &spec, filled, inherited, stdin, &given);
        let launch = launch.map_err(in_the_way)?.making(files.clone());
        let id = session.session();
        let launched = self.wardens.launch(id, launch).await;
        let mut running = launched.map_err(|error| match error.shortage() {
            Some(what) => NotStarted::NoRoom(what),
            None => refused(error.to_string()),
        })?;
        drop(turn);
        session.shortages().started(id);
        let end = tokio::select! {
            end = running.ended() => end,
            () = session.stop_requested() => {
                running.stop(match session.stop_cause() {
                    Some(StopCause::Timeout) => StopReason::TimedOut,
                    // Any other cause is somebody's wish.
                    _ => StopReason::Cancelled,
                });
                running.ended().await
            }
        };
        match &end.cause {
            Cause::NotStarted(failure) if end.clean => match shortage_of(&failure.text) {
                // Nothing of it has run, so there is nothing to keep of this try.
                Some(what) => {
                    let (wardens, session) = (self.wardens.clone(), id.clone());
                    let gone = tokio::task::spawn_blocking(move || wardens.forget(&session)).await;
                    gone.map_err(std::io::Error::other)
                        .flatten()
                        .map_err(|error| refused(format!("an earlier try stays: {error}")))?;
                    Err(NotStarted::NoRoom(what))
                }
                None => Ok((spec, end, files)),
            },
            _ => Ok((spec, end, files)),
        }
    }
}

/// Where the run of a session was started from. None says that its description has all that it
/// inherits.
async fn origin_of(session: &SessionContext) -> Result<Option<Origin>, NotStarted> {
    let Some(digest) = session.origin() else { return Ok(None) };
    let recorded = session.blob_now(digest).await?;
    let recorded = recorded.ok_or_else(|| {
        NotStarted::refused("the record of where its run was started is missing".to_owned())
    })?;
    let origin = Origin::from_bytes(&recorded);
    origin.map(Some).map_err(|error| NotStarted::refused(error.to_string()))
}

/// What a session has in its environment before the plan sets anything: what was recorded at the
/// start of its run, and what belongs to where it runs.
pub(crate) fn inherited(origin: Option<Origin>) -> BTreeMap<OsString, OsString> {
    let Some(origin) = origin else { return BTreeMap::new() };
    let recorded = origin.inherited.into_iter().map(|(name, value)| (name.into(), value.into()));
    let own = Environment::of_the_engine();
    recorded.chain(own.into_iter().map(|(name, value)| (name.into(), value))).collect()
}

/// What is in the places of the files that a session is to make.
async fn look(spec: &CommandSpec) -> Result<FilesBefore, String> {
    if spec.files().next().is_none() {
        return Ok(FilesBefore::default());
    }
    let outputs = spec.clone();
    tokio::task::spawn_blocking(move || FilesBefore::look(outputs.files()))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| error.to_string())
}

async fn read_stdin(stdin: Option<RenderedStdin>) -> Result<Option<Vec<u8>>, String> {
    match stdin {
        None => Ok(None),
        Some(RenderedStdin::Text(text)) => Ok(Some(text.into_bytes())),
        Some(RenderedStdin::Kept(bytes)) => Ok(Some(bytes)),
        Some(RenderedStdin::File(path)) => tokio::task::spawn_blocking(move || read_input(&path))
            .await
            .map_err(|error| format!("its standard input could not be read: {error}"))?
            .map(Some),
    }
}

/// Blocks. What the plan named as a file may be something else by now.
fn read_input(path: &Path) -> Result<Vec<u8>, String> {
    outside::read(path, MAX_STDIN)
        .map_err(|error| format!("its standard input, {}, cannot be read: {error}", path.display()))
}
