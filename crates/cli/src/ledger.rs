//! The ledger that a command reads, whether or not an engine owns it.

mod kept;
mod remote;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon::append::HeadRow;
use antiphon::coordination::{
    Coordination, CoordinationReducer, Reducer as _, ReducerContext, Stage,
};
use antiphon::envelope::Recorded;
use antiphon::event::{AggregateEvent as _, CoordinationEvent};
use antiphon::id::{CoordinationId, StreamName, Version};
use antiphon::items::ItemError;
use antiphon::ledger::verify::{Scope, VerifyReport, verify};
use antiphon::ledger::{
    Events, HeadFilter, HeadMark, HeadQuery, LedgerPosition, Location, OpenError, ReadError, Store,
    UnknownFormat,
};
use antiphon::plan::Origin;
use antiphon_server::{Client, ClientError};

use crate::command_error::{CommandError, Kind, OUTSIDE_OF_THE_SESSION};
use crate::options::Options;
use crate::run_outcome::RunOutcome;
use crate::state_dir;
use crate::stderr;
use crate::text::printable;
use kept::Kept;
use remote::Remote;

/// Before the id of a coordination in the name of its stream.
pub(crate) const COORDINATIONS: &str = StreamName::COORDINATIONS;

/// Newest coordinations among which a name that was meant is looked for.
const LOOKED_THROUGH: usize = 1_000;

/// Names that are offered instead of one that is not there.
const OFFERED: usize = 3;

/// How alike names are (from 0 to 1) of which one may have been meant by the other.
const ALIKE: f64 = 0.8;

/// A ledger, for reading only.
pub(crate) struct Ledger {
    pub(crate) dir: PathBuf,
    location: Location,
    kind: Kept,
    pub(crate) store: Arc<dyn Store>,
}

impl Ledger {
    /// The ledger in the state directory that the command is about.
    pub(crate) fn find(options: &Options) -> Result<Self, CommandError> {
        let dir = state_dir::find(options);
        let ledger = Self::at(&dir);
        if ledger.kind == Kept::BySessionEngine {
            return ledger.answering();
        }
        let absent =
            |what: String, hint: String| Err(CommandError::new(Kind::State, what).with_hint(hint));
        let elsewhere = "choose a state directory with --dir or ANTIPHON_DIR, or change to a directory that has one; `antiphon run` creates one";
        let foreign = "it may belong to another user; run as that user, or choose another with --dir or ANTIPHON_DIR";
        match dir.try_exists() {
            Ok(true) => {}
            Ok(false) => {
                let what = format!("there is no state directory {}", dir.display());
                return absent(what, elsewhere.to_owned());
            }
            Err(error) => {
                let what = format!("cannot look at {}: {error}", dir.display());
                return absent(what, foreign.to_owned());
            }
        }
        if !dir.is_dir() {
            return absent(format!("{} is not a directory", dir.display()), elsewhere.to_owned());
        }
        if ledger.kind == Kept::InMemory {
            return ledger.refuse_left_over().map(|()| ledger);
        }
        let has_ledger = Location::directory(&dir).files().database().try_exists();
        if let Err(error) = &has_ledger {
            return absent(format!("cannot read {}: {error}", dir.display()), foreign.to_owned());
        }
        if !has_ledger.is_ok_and(|has| has) {
            let inside = dir.join(state_dir::NAME);
            let is_empty = dir.read_dir().is_ok_and(|mut entries| entries.next().is_none());
            let hint = if inside.is_dir() {
                format!("did you mean {}?", inside.display())
            } else if HeadMark::path(&dir).exists() {
                "there was one; `antiphon doctor` says what is safe to do".to_owned()
            } else if is_empty {
                elsewhere.to_owned()
            } else {
                // Nothing is created beside other files.
                "choose a state directory with --dir or ANTIPHON_DIR, or change to a directory that has one".to_owned()
            };
            return absent(format!("there is no ledger in {}", dir.display()), hint);
        }
        // What keeps the format from being read comes up with what is read next.
        match ledger.location.position() {
            Ok(LedgerPosition { format, .. }) => {
                UnknownFormat::refuse(format).map_err(OpenError::from)?;
                if let Some(how) = ledger.location.may_be_short()? {
                    stderr::say(format!(
                        "{}",
                        printable(&format!(
                            "note: {} may lack the newest part of its ledger: {how}; if it is a copy, was ledger.db-wal copied with it?",
                            dir.display()
                        ))
                    ));
                }
                Ok(ledger)
            }
            Err(_) => Ok(ledger),
        }
    }

    /// The ledger in a directory, whether there is one or not.
    pub(crate) fn at(dir: &Path) -> Self {
        let location = Location::directory(dir);
        let (kind, store): (_, Arc<dyn Store>) = match Remote::of(dir) {
            Some(remote) => (remote.kind, remote),
            None => (Kept::OnDisk, location.store()),
        };
        Self { dir: dir.to_owned(), store, kind, location }
    }

    /// Itself, if the engine of this session answers.
    fn answering(self) -> Result<Self, CommandError> {
        Remote::of(&self.dir).map_or(Ok(()), |remote| remote.connect())?;
        Ok(self)
    }

    /// Whether what is read of it depends on an engine that answers.
    pub(crate) fn is_read_over_the_socket(&self) -> bool {
        self.kind != Kept::OnDisk
    }

    /// Refuses what is left of a ledger in memory whose engine is gone.
    pub(crate) fn refuse_left_over(&self) -> Result<(), CommandError> {
        if self.kind != Kept::InMemory || self.is_held()? {
            return Ok(());
        }
        let dir = self.dir.display();
        let what = format!("the ledger of {dir} was in the memory of an engine that is gone");
        Err(CommandError::new(Kind::State, what)
            .with_hint("nothing is left of it; remove the directory"))
    }

    /// Where its files are.
    ///
    /// # Errors
    /// If this process reads it from none: then what needs them cannot be had.
    pub(crate) fn on_disk(&self, needed_by: &str) -> Result<&Location, CommandError> {
        self.refuse_left_over()?;
        let dir = self.dir.display();
        let (what, hint) = match self.kind {
            Kept::OnDisk => return Ok(&self.location),
            Kept::InMemory => (
                format!(
                    "{needed_by} needs a ledger on disk, and that of {dir} is in the memory of its engine"
                ),
                "`antiphon receipt export` keeps the record of a run that has ended",
            ),
            Kept::BySessionEngine => (
                format!(
                    "{needed_by} needs the files of {dir}, and this session reaches its engine by the \
                     socket alone"
                ),
                OUTSIDE_OF_THE_SESSION,
            ),
        };
        Err(CommandError::new(Kind::State, what).with_hint(hint))
    }

    /// Verifies it, and, where that is all of it and it is on disk, that it reaches its head mark.
    pub(crate) fn verify(&self, scope: &Scope) -> Result<VerifyReport, ReadError> {
        match self.kind {
            Kept::OnDisk => self.location.verify(scope),
            Kept::InMemory | Kept::BySessionEngine => verify(self.store.as_ref(), scope),
        }
    }

    /// How far it has come, if it is on disk.
    pub(crate) fn position(&self) -> Result<LedgerPosition, ReadError> {
        self.location.position()
    }

    /// Whether an engine owns it.
    pub(crate) fn is_held(&self) -> Result<bool, CommandError> {
        if self.kind == Kept::BySessionEngine {
            return Ok(true);
        }
        let holder = self.location.files().holder();
        Ok(holder.map_err(|error| CommandError::because(Kind::State, &error))?.is_some())
    }

    /// The head row of a stream that a user named.
    pub(crate) fn head(&self, stream: &StreamName) -> Result<HeadRow, CommandError> {
        let found = self.store.heads(&HeadQuery::Stream(stream.clone()))?;
        match (found.into_iter().next(), stream) {
            (Some(head), _) => Ok(head),
            (None, stream) if self.kind == Kept::BySessionEngine => {
                let what = match stream {
                    StreamName::Coordination(id) => format!("run {id}"),
                    stream => format!("stream {stream}"),
                };
                let what = format!("there is no {what} that this session may read");
                Err(CommandError::new(Kind::Usage, what).with_hint(OUTSIDE_OF_THE_SESSION))
            }
            (None, StreamName::Coordination(id)) => Err(self.unknown(id)?),
            (None, _) => Err(CommandError::new(
                Kind::Usage,
                format!("there is no stream {stream} in {}", self.dir.display()),
            )),
        }
    }

    /// A coordination as its events tell it.
    pub(crate) fn replayed(&self, id: &CoordinationId) -> Result<Coordination, CommandError> {
        self.replayed_past(id, |_| Ok(()))
    }

    /// The same, looked at after each event.
    pub(crate) fn replayed_past(
        &self,
        id: &CoordinationId,
        mut look: impl FnMut(&Coordination) -> Result<(), CommandError>,
    ) -> Result<Coordination, CommandError> {
        let mut reducer = CoordinationReducer::new();
        self.each_event(&StreamName::Coordination(id.clone()), |event| {
            let context = ReducerContext::replay(event.version.0);
            reducer.apply(event, &context).map_err(|error| match event.payload.bytes() {
                Some(_) => CommandError::because(Kind::State, &error),
                None => erased(id),
            })?;
            reducer.state().get(id).map_or(Ok(()), &mut look)
        })?;
        match reducer.forget(id) {
            Some(run) => Ok(run),
            None => Err(self.unknown(id)?),
        }
    }

    /// Looks at every event of a stream, in order.
    pub(crate) fn each_event(
        &self,
        stream: &StreamName,
        mut look: impl FnMut(&Recorded) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        for event in Events::after(self.store.as_ref(), stream.clone(), Version(0)) {
            look(&event?)?;
        }
        Ok(())
    }

    /// Where a run was started from, if that is recorded and can be read.
    pub(crate) fn origin(&self, id: &CoordinationId) -> Result<Option<Origin>, CommandError> {
        let first = self.store.read_stream(&StreamName::Coordination(id.clone()), Version(0), 1)?;
        let Some(Ok(CoordinationEvent::Started(started))) =
            first.first().map(CoordinationEvent::of)
        else {
            return Ok(None);
        };
        let Some(origin) = started.origin else { return Ok(None) };
        let bytes = self.store.blob(&origin)?;
        Ok(bytes.and_then(|bytes| Origin::from_bytes(&bytes).ok()))
    }

    /// How a run has ended, if it has.
    pub(crate) fn outcome(&self, id: &CoordinationId) -> Result<Option<RunOutcome>, CommandError> {
        let stream = StreamName::Coordination(id.clone());
        let head = self.head(&stream)?;
        if !head.ended {
            return Ok(None);
        }
        let before = Version(head.tip.version.0.saturating_sub(1));
        let last = self.store.read_stream(&stream, before, 1)?;
        match last.first().and_then(RunOutcome::of) {
            Some(outcome) => Ok(Some(outcome)),
            None => Err(CommandError::new(Kind::State, format!("cannot read how {id} ended"))
                .with_hint("`antiphon verify` says what is wrong with the record")),
        }
    }

    /// Whether the record says that nobody carries a run out.
    pub(crate) fn is_interrupted(&self, id: &CoordinationId) -> Result<bool, CommandError> {
        Ok(self.stage(id, true)? == Stage::Interrupted)
    }

    /// Where a run is in its life, and whether an engine has the ledger that may carry it out.
    pub(crate) fn stage(&self, id: &CoordinationId, is_held: bool) -> Result<Stage, CommandError> {
        stage(&self.head(&StreamName::Coordination(id.clone()))?, is_held)
    }

    /// Refuses a coordination that is not there, or has ended.
    pub(crate) fn unended(&self, id: &CoordinationId) -> Result<(), CommandError> {
        let head = self.head(&StreamName::Coordination(id.clone()))?;
        match stage(&head, true)? {
            Stage::Ended(verdict) => {
                Err(CommandError::new(Kind::Usage, format!("{id} has already ended: {verdict}"))
                    .with_hint(format!("`antiphon receipt show {id}` shows the result")))
            }
            _ => Ok(()),
        }
    }

    fn unknown(&self, id: &CoordinationId) -> Result<CommandError, CommandError> {
        let command_error = CommandError::new(
            Kind::Usage,
            format!("there is no run {id} in {}", self.dir.display()),
        );
        let near = self.near(id)?;
        Ok(command_error.with_hint(match near.as_slice() {
            [] => "`antiphon list` shows the runs there are".to_owned(),
            near => format!("did you mean {}?", near.join(" or ")),
        }))
    }

    /// Ids that begin so, or that are nearly so.
    fn near(&self, id: &CoordinationId) -> Result<Vec<String>, CommandError> {
        let begin = self.ids(&format!("{COORDINATIONS}{id}"), OFFERED)?;
        if !begin.is_empty() {
            return Ok(begin);
        }
        let ids = self.ids(COORDINATIONS, LOOKED_THROUGH)?;
        Ok(alike(id.as_str(), ids.iter().map(String::as_str)))
    }

    fn ids(&self, prefix: &str, limit: usize) -> Result<Vec<String>, CommandError> {
        let filter = HeadFilter { prefix: prefix.to_owned(), limit, ..HeadFilter::default() };
        let heads = self.store.heads(&HeadQuery::List(filter))?;
        Ok(heads
            .into_iter()
            .filter_map(|head| {
                Some(head.stream.to_string().strip_prefix(COORDINATIONS)?.to_owned())
            })
            .collect())
    }
}

/// The client of a directory's engine: the one that this process reads its ledger by already, if that is
/// read over the socket, else a new one.
pub(crate) async fn client(dir: &Path) -> Result<Client, ClientError> {
    match Remote::of(dir) {
        Some(remote) => remote.client().await,
        None => Client::connect(dir).await,
    }
}

/// Where a run is in its life, as its head row says; and whether an engine owns the ledger, as a
/// crash records nothing.
pub(crate) fn stage(head: &HeadRow, is_held: bool) -> Result<Stage, CommandError> {
    Ok(match head.stage().map_err(unreadable)? {
        Stage::Running | Stage::Paused if !is_held => Stage::Interrupted,
        stage => stage,
    })
}

/// A head row that this version cannot read.
pub(crate) fn unreadable(error: impl std::error::Error) -> CommandError {
    CommandError::new(Kind::State, error.to_string())
        .with_hint("read the ledger with the version that wrote it, or run `antiphon verify`")
}

/// Nothing is known of the items of a run that was pruned.
pub(crate) fn erased(run: &CoordinationId) -> CommandError {
    CommandError::from(ItemError::Erased { run: run.clone() })
        .with_hint(format!("`antiphon receipt show {run}` shows how it ended"))
}

/// The names that may have been meant, the likeliest first.
pub(crate) fn alike<'a>(meant: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut alike: Vec<(f64, &str)> =
        names.map(|name| (strsim::jaro_winkler(meant, name), name)).collect();
    alike.retain(|(likeness, _)| *likeness >= ALIKE);
    alike.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    alike.into_iter().take(OFFERED).map(|(_, name)| name.to_owned()).collect()
}

/// Reads the id of a coordination, with or without what its stream's name begins with.
pub(crate) fn coordination(text: &str) -> Result<CoordinationId, String> {
    CoordinationId::new(text.strip_prefix(COORDINATIONS).unwrap_or(text))
        .map_err(|error| error.to_string())
}

/// Reads the name of a stream; what is none is the id of a coordination.
pub(crate) fn stream(text: &str) -> Result<StreamName, String> {
    match text {
        _ if text == "ledger" || text.contains('/') => {
            text.parse().map_err(|error: antiphon::id::IdError| error.to_string())
        }
        id => coordination(id).map(StreamName::Coordination),
    }
}
