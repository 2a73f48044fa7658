//! The traces of processes: a file for each process of a session, outside of the state directory,
//! which shows whether the process lives.
//!
//! A process writes its file first and then looks for others, so of two that live at the same time
//! at least one sees the other.

use std::env::VarError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use antiphon::id::{CoordinationId, SessionId, Version, WorkId};
use serde::{Deserialize, Serialize};

use super::processes::ProcessIdentity;

/// Where the processes of a ledger leave their files:
/// `<coordination>/<item>/<session>.<pid>.<start>`.
#[derive(Debug, Clone)]
pub(super) struct TraceDirectory(PathBuf);

/// What a session knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionFacts {
    pub(super) session: SessionId,
    pub(super) work: WorkId,
    pub(super) fence: Version,
    pub(super) attempt: u32,
}

impl SessionFacts {
    /// That of the session which this process belongs to.
    pub(super) fn of_this_process() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let variable =
            |name: &str| std::env::var(name).map_err(|error: VarError| format!("{name}: {error}"));
        Ok(Self {
            session: variable("ANTIPHON_SESSION")?.parse()?,
            work: variable("ANTIPHON_WORK")?.parse()?,
            fence: Version(variable("ANTIPHON_FENCE")?.parse()?),
            attempt: variable("ANTIPHON_ATTEMPT")?.parse()?,
        })
    }
}

/// A process of a session.
#[derive(Debug, Clone)]
pub(super) struct ProcessTrace {
    pub(super) session: SessionId,
    pub(super) work: WorkId,
    pub(super) identity: ProcessIdentity,
    /// What it said; nothing if it was killed before.
    pub(super) observation: Option<Observation>,
}

/// What a process said of itself and of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Observation {
    #[serde(flatten)]
    pub(super) assignment: SessionFacts,
    /// Sessions of its item, apart from its own, of which a process lived when it began.
    pub(super) beside: Vec<u64>,
}

impl TraceDirectory {
    /// That of the ledger in a directory.
    pub(super) fn of(dir: &Path) -> Self {
        Self(dir.join("traces"))
    }

    fn item(&self, session: &SessionId, work: &WorkId) -> PathBuf {
        self.0.join(session.coordination.to_string()).join(work.to_string())
    }

    /// Leaves this process's file.
    pub(super) fn leave(&self, assignment: SessionFacts) -> io::Result<()> {
        let item = self.item(&assignment.session, &assignment.work);
        fs::create_dir_all(&item)?;
        let own = ProcessIdentity::own()?;
        let file = item.join(format!("{}.{}.{}", assignment.session.number, own.pid, own.start));
        fs::write(&file, "")?;
        let others = identities(&item)?
            .into_iter()
            .filter(|(number, _)| *number != assignment.session.number);
        let mut beside: Vec<u64> =
            others.filter(|(_, other)| other.lives()).map(|(number, _)| number).collect();
        beside.dedup();
        // In one write, so that it is there whole or not at all.
        fs::write(&file, serde_json::to_string(&Observation { assignment, beside })?)
    }

    /// The sessions of a coordination, and of those nested in it, of which a process lives.
    pub(super) fn living(&self, coordination: &CoordinationId) -> io::Result<Vec<SessionId>> {
        let below = format!("{coordination}.");
        let is_of = |track: &ProcessTrace| {
            let id = track.session.coordination.to_string();
            (id == coordination.as_str() || id.starts_with(&below)) && track.identity.lives()
        };
        let mut living: Vec<SessionId> =
            self.walk(false)?.into_iter().filter(is_of).map(|track| track.session).collect();
        living.dedup();
        Ok(living)
    }

    /// Whether a process of this session lives.
    pub(super) fn lives(&self, session: &SessionId, work: &WorkId) -> io::Result<bool> {
        let found = identities(&self.item(session, work))?;
        Ok(found.into_iter().any(|(number, identity)| number == session.number && identity.lives()))
    }

    /// Every process that ever left its file.
    pub(super) fn tracks(&self) -> io::Result<Vec<ProcessTrace>> {
        self.walk(true)
    }

    fn walk(&self, read: bool) -> io::Result<Vec<ProcessTrace>> {
        let mut tracks = Vec::new();
        for coordination in names(&self.0)? {
            let Ok(id) = coordination.parse::<CoordinationId>() else { continue };
            for item in names(&self.0.join(&coordination))? {
                let Ok(work) = item.parse::<WorkId>() else { continue };
                let dir = self.0.join(&coordination).join(&item);
                for (number, identity) in identities(&dir)? {
                    let observation = match read {
                        true => fs::read(
                            dir.join(format!("{number}.{}.{}", identity.pid, identity.start)),
                        )?,
                        false => Vec::new(),
                    };
                    tracks.push(ProcessTrace {
                        session: SessionId { coordination: id.clone(), number },
                        work: work.clone(),
                        identity,
                        observation: serde_json::from_slice(&observation).ok(),
                    });
                }
            }
        }
        Ok(tracks)
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

fn identities(item: &Path) -> io::Result<Vec<(u64, ProcessIdentity)>> {
    let parsed = |name: &String| {
        let mut parts = name.split('.');
        let number = parts.next()?.parse().ok()?;
        Some((
            number,
            ProcessIdentity::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
        ))
    };
    Ok(names(item)?.iter().filter_map(parsed).collect())
}
