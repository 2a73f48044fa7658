//! Sessions carried out by processes: the description of a command becomes a tree, and the tree's
//! end what is recorded.
//!
//! To the rest of the engine this is one more function: it runs until nothing of the session is
//! left, and ends sooner when it is asked to.

mod end;
mod given;
mod outputs;
mod route;
mod starting;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::coordination::StopCause;
use antiphon_core::id::SessionId;
use tokio::sync::Semaphore;

pub(crate) use self::end::{result_of, used_by_lost};
use self::given::Given;
pub(crate) use self::route::Attempt;
pub(crate) use self::starting::inherited;
use super::context::{RunnerFn, boxed};
use super::{Failed, SessionContext, SessionResult};
use crate::output_files::FilesBefore;
use crate::plan::{CommandSpec, Rendered, RenderedEnv};
use crate::process::{
    Check, Launch, Limits, Scratch, Secret, SessionFolder, StopReason, TreeEnd, Wardens,
};
use crate::secrets::Secrets;
use crate::usage::Charged;

/// What is kept of each output of a session that does not say otherwise, in bytes.
const OUTPUT_CAP: u64 = 10 << 20;

/// Largest result file that is read, in bytes.
const RESULT_CAP: u64 = 10 << 20;

/// Sessions whose files are read at a time.
const FILES_READ_AT_ONCE: usize = 2;

/// How much later than the engine a warden ends a session for its time: it is there for when the
/// engine is not.
const WARDEN_WAITS: Duration = Duration::from_secs(2);

/// What it takes to run processes.
#[derive(Debug)]
pub(crate) struct Processes {
    wardens: Wardens,
    secrets: Arc<Secrets>,
    /// Where scratch directories are made; outside of the state directory.
    scratch_root: PathBuf,
    /// Where sessions reach the engine.
    socket: PathBuf,
    /// As many as are on their way to run at a time.
    starts: Semaphore,
    /// Those whose files are being read.
    readings: Semaphore,
    /// What runs of agents have used in all.
    charged: Arc<Charged>,
}

impl Processes {
    /// Both paths are absolute: sessions run in directories of their own.
    pub(crate) fn new(wardens: Wardens, scratch_root: PathBuf, socket: PathBuf) -> Self {
        let (secrets, charged) = (Arc::default(), Arc::default());
        let starts = Semaphore::new(starting::STARTS_AT_ONCE as usize);
        let readings = Semaphore::new(FILES_READ_AT_ONCE);
        Self { wardens, secrets, scratch_root, socket, starts, readings, charged }
    }

    pub(crate) fn wardens(&self) -> &Wardens {
        &self.wardens
    }

    pub(crate) fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    /// The function that carries out items whose runner is a process.
    pub(crate) fn runner(self: &Arc<Self>) -> RunnerFn {
        let processes = Arc::clone(self);
        boxed(move |session| {
            let processes = Arc::clone(&processes);
            async move { processes.carry_out(session).await }
        })
    }

    async fn carry_out(&self, session: SessionContext) -> SessionResult {
        let (spec, end, before) = self.run(&session).await?;
        let folder = self.wardens.folder(session.session());
        let charged = Arc::clone(&self.charged);
        let _turn = match before.is_empty() {
            true => None,
            // It is never closed.
            false => self.readings.acquire().await.ok(),
        };
        let read = move || {
            let (is_wanted, now) = (|| !session.must_stop(), crate::clock::wall());
            let result = result_of(&spec, end, &folder, &before, &is_wanted, &charged, now);
            let attempt = Attempt::new(session.work(), session.attempt());
            attempt.routed(&spec.route, result, Some(&session.stats()))
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| Failed::because(format!("its end could not be read: {error}")))?
    }

    /// What came of a tree of this command.
    pub(crate) fn result_of(
        &self,
        spec: &CommandSpec,
        end: TreeEnd,
        folder: &SessionFolder,
    ) -> SessionResult {
        let (files, charged) = (FilesBefore::default(), &self.charged);
        result_of(spec, end, folder, &files, &|| true, charged, crate::clock::wall())
    }

    /// The state directory, as sessions name it.
    pub(crate) fn state_directory(&self) -> &Path {
        self.socket.parent().unwrap_or(&self.socket)
    }

    /// What is run, with everything filled in; the plan's variables come on top of those that the
    /// session inherits.
    fn launch(
        &self,
        session: &SessionContext,
        spec: &CommandSpec,
        filled: Rendered,
        mut environment: BTreeMap<OsString, OsString>,
        stdin: Option<Vec<u8>>,
        given: &Given<'_>,
    ) -> Result<Launch, String> {
        let mut scratch = Scratch::below(&self.scratch_root)
            .map_err(|error| format!("cannot create a scratch directory: {error}"))?;
        scratch.result_cap = RESULT_CAP;
        scratch.files.push((CONTEXT_FILE.to_owned(), given.file(session, &filled)));
        let bounds = given.limits();
        let values = self.secrets.of(session.coordination());
        let mut named = BTreeSet::new();
        for (name, value) in filled.env {
            let value = match value {
                RenderedEnv::Text(text) => text,
                RenderedEnv::Secret(secret) => {
                    let value = values.as_ref().and_then(|values| values.get(&secret));
                    let value = value.ok_or_else(|| {
                        format!("the value of the secret {secret} is not available")
                    })?;
                    named.insert(secret);
                    value.clone()
                }
            };
            environment.insert(OsString::from(name), OsString::from(value));
        }
        // A session may print what another one of its run has handed on.
        let held = values.iter().flat_map(|values| values.iter());
        let secrets = held
            .map(|(name, value)| Secret { name: name.clone(), value: value.clone() })
            .filter(|secret| named.contains(&secret.name) || !secret.is_too_short())
            .collect();
        environment.extend(self.own_variables(session, &scratch));
        let time = session.time();
        let check = filled.check.map(|command| Check {
            command: command.into_iter().map(OsString::from).collect(),
            time_limit: spec
                .check
                .as_ref()
                .and_then(|check| check.timeout)
                .map_or(time, |timeout| Duration::from_millis(timeout.0)),
        });
        Ok(Launch {
            command: filled.argv.into_iter().map(OsString::from).collect(),
            directory: spec.dir.clone(),
            environment: environment.into_iter().collect(),
            secrets,
            stdin,
            limits: Limits {
                memory: stricter(spec.limits.memory.map(|bytes| bytes.0), bounds.memory),
                processes: spec.limits.processes.map(u64::from),
                cpu: spec.limits.cpu.map(|cpu| Duration::from_millis(cpu.0)),
                open_files: spec.limits.files.map(u64::from),
                file_size: spec.limits.file_size.map(|bytes| bytes.0),
            },
            time_limit: stricter(Some(time.saturating_add(WARDEN_WAITS)), bounds.time),
            grace: Duration::from_millis(spec.grace.0),
            output_cap: spec.limits.output.map_or(OUTPUT_CAP, |bytes| bytes.0),
            check,
            scratch: Some(scratch),
            files: FilesBefore::default(),
        })
    }

    /// What every session learns about itself.
    fn own_variables(
        &self,
        session: &SessionContext,
        scratch: &Scratch,
    ) -> Vec<(OsString, OsString)> {
        let agent = session.agent().map_or_else(|| session.work().to_string(), ToString::to_string);
        let texts = [
            ("ANTIPHON_RUN", session.coordination().to_string()),
            ("ANTIPHON_WORK", session.work().to_string()),
            ("ANTIPHON_SESSION", session.session().to_string()),
            ("ANTIPHON_AGENT", agent),
            ("ANTIPHON_ATTEMPT", session.attempt().to_string()),
            ("ANTIPHON_FENCE", session.fence().to_string()),
            ("ANTIPHON_TOKEN", session.token().to_string()),
        ];
        let paths = [
            ("ANTIPHON_SOCKET", self.socket.clone()),
            ("ANTIPHON_CONTEXT", scratch.directory().join(CONTEXT_FILE)),
            ("ANTIPHON_RESULT", scratch.result_file()),
        ];
        let texts =
            texts.into_iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
        texts
            .chain(
                paths.into_iter().map(|(name, path)| (OsString::from(name), path.into_os_string())),
            )
            .collect()
    }

    /// Removes what was kept of a session until its end was recorded. What is left over is looked
    /// for there again.
    pub(crate) fn forget(&self, session: &SessionId) {
        if let Err(error) = self.wardens.forget(session) {
            tracing::warn!(run = %session.coordination, %session, %error, "what was kept of a session could not be removed; the next start does it");
        }
    }
}

/// Name of the file that tells a session what it is to work on.
const CONTEXT_FILE: &str = "context.json";

/// The stricter of two limits, where there are any.
fn stricter<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}
