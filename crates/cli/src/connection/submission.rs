//! A plan on its way to an engine: its text, with what it takes from here.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::Path;
use std::process::{Command, Stdio};

use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{HeadQuery, ReadError};
use antiphon::origin_of;
use antiphon::plan::{Environment, Plan, PlanError, SecretFrom, SecretSource};
use antiphon::process::MIN_SECRET_BYTES;
use antiphon_server::{ResumeRequest, RunSecrets, SubmitRequest};

use crate::command_error::{CommandError, Kind};
use crate::ledger::Ledger;
use crate::stderr;
use crate::text::printable;

/// Why a plan cannot be sent.
pub(crate) enum Unsent {
    Plan(PlanError),
    /// Something that it needs is not here.
    Command(CommandError),
}

/// What is known of the run under whose id a plan is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It is new.
    New,
    Unfinished,
    Ended,
}

impl Known {
    /// Of an id, as the ledger has it.
    fn of(id: &CoordinationId, ledger: &Ledger) -> Result<Self, CommandError> {
        ledger.refuse_left_over()?;
        let stream = StreamName::Coordination(id.clone());
        let heads = match ledger.store.heads(&HeadQuery::Stream(stream)) {
            Err(ReadError::Absent { .. }) => return Ok(Self::New),
            heads => heads?,
        };
        Ok(match heads.first() {
            None => Self::New,
            Some(head) if head.ended => Self::Ended,
            Some(_) => Self::Unfinished,
        })
    }
}

/// What is sent: the plan's text, with the variables and the values of the secrets that it names.
/// The engine's side compiles it. A secret that is missing keeps a new run from being started; one
/// that is there is continued without it.
pub(crate) fn request(
    plan: &Plan,
    shown: &Path,
    id: &CoordinationId,
    ledger: &Ledger,
) -> Result<SubmitRequest, Unsent> {
    let needed = plan.requirements(&Environment::of_process()).map_err(Unsent::Plan)?;
    let secrets = match Known::of(id, ledger).map_err(Unsent::Command)? {
        Known::Unfinished => available_for(id, &needed.secrets, ledger),
        Known::Ended => available(&needed.secrets).0,
        Known::New => values(&needed.secrets).map_err(Unsent::Command)?,
    };
    let id = Some(id.to_string());
    Ok(SubmitRequest { id, secrets, ..sent(plan, shown, needed.variables) })
}

/// The same for a run that is retried, and the secrets that are missing, without which it is taken
/// up all the same.
pub(crate) fn request_again(
    plan: &Plan,
    shown: &Path,
) -> Result<(SubmitRequest, Vec<MissingSecret>), PlanError> {
    let needed = plan.requirements(&Environment::of_process())?;
    let (secrets, missing) = available(&needed.secrets);
    Ok((SubmitRequest { secrets, ..sent(plan, shown, needed.variables) }, missing))
}

/// A plan with the variables that it takes from here.
fn sent(plan: &Plan, shown: &Path, environment: BTreeMap<String, String>) -> SubmitRequest {
    SubmitRequest {
        plan: plan.text().to_owned(),
        name: shown.display().to_string(),
        directory: plan.dir().display().to_string(),
        environment,
        secrets: BTreeMap::new(),
        id: None,
    }
}

/// A secret whose value is not here, and what is wrong.
pub(crate) struct MissingSecret {
    source: SecretSource,
    absent: CommandError,
}

impl MissingSecret {
    /// Says of each what brings it, if something that is left of a run may wait for it.
    pub(crate) fn say_all(missing: &[Self], run: &CoordinationId, ledger: &Ledger) {
        // What cannot be read may wait for all of them.
        let waits = || ledger.replayed(run).map_or(true, |run| run.may_need_secrets());
        if !missing.is_empty() && waits() {
            missing.iter().for_each(|missing| missing.say(run));
        }
    }

    /// Says that a run waits for it, and what brings it.
    fn say(&self, run: &CoordinationId) {
        let resumed_by = RunSecrets::of(run, vec![self.source.clone()]).resumed_by();
        let absent = self.absent.message();
        let text = format!("note: {run} waits for a secret: {absent}; {resumed_by} brings it");
        stderr::say(printable(&text));
    }
}

/// The values of the secrets that are here, by name, and those that are not.
pub(crate) fn available(
    sources: &[SecretSource],
) -> (BTreeMap<String, String>, Vec<MissingSecret>) {
    let (mut values, mut missing) = (BTreeMap::new(), Vec::new());
    for source in sources {
        match value(source) {
            Ok(value) => drop(values.insert(source.name.clone(), value)),
            Err(absent) => missing.push(MissingSecret { source: source.clone(), absent }),
        }
    }
    (values, missing)
}

/// The values of the secrets that a run was started with, as they are here, for it to be resumed.
/// Of each that is not here it is said how it is brought.
pub(crate) fn read_again(
    ledger: &Ledger,
    id: &CoordinationId,
) -> Result<ResumeRequest, CommandError> {
    let origin = origin_of(ledger.store.as_ref(), id)?;
    let sources = origin.map(|origin| origin.secrets).unwrap_or_default();
    Ok(ResumeRequest { secrets: available_for(id, &sources, ledger) })
}

/// The values of the secrets of a run that are here, by name. Those that are not, and that it waits
/// for, are named.
fn available_for(
    id: &CoordinationId,
    sources: &[SecretSource],
    ledger: &Ledger,
) -> BTreeMap<String, String> {
    let (secrets, missing) = available(sources);
    MissingSecret::say_all(&missing, id, ledger);
    secrets
}

/// The values of secrets, by name. Only the names are ever shown.
fn values(sources: &[SecretSource]) -> Result<BTreeMap<String, String>, CommandError> {
    sources.iter().map(|source| Ok((source.name.clone(), value(source)?))).collect()
}

fn value(source: &SecretSource) -> Result<String, CommandError> {
    let name = &source.name;
    let absent = |what: String, hint: &str| CommandError::new(Kind::Usage, what).with_hint(hint);
    let value = match &source.from {
        SecretFrom::Variable => std::env::var(name).map_err(|error| match error {
            VarError::NotPresent => absent(
                format!("the plan needs the secret {name}, and there is no such variable"),
                "set it for this command",
            ),
            VarError::NotUnicode(_) => {
                absent(format!("the secret {name} is not text in UTF-8"), "encode it")
            }
        })?,
        SecretFrom::Command { argv, dir } => {
            let [program, arguments @ ..] = argv.as_slice() else {
                return Err(absent(
                    format!("the command for the secret {name} is empty"),
                    "name a program",
                ));
            };
            let ran = Command::new(program)
                .args(arguments)
                .current_dir(dir)
                .stdin(Stdio::null())
                .stderr(Stdio::inherit())
                .output();
            let ran = ran.map_err(|error| {
                absent(
                    format!("the command for the secret {name} cannot be run: {error}"),
                    "fix the command",
                )
            })?;
            if !ran.status.success() {
                return Err(absent(
                    format!("the command for the secret {name} failed: {}", ran.status),
                    "run it by hand",
                ));
            }
            let text = String::from_utf8(ran.stdout);
            let text = text.map_err(|_| {
                absent(format!("the secret {name} is not text in UTF-8"), "encode it")
            })?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    if value.len() < MIN_SECRET_BYTES {
        let what = format!(
            "the secret {name} has fewer than {MIN_SECRET_BYTES} bytes and could not be kept out of outputs"
        );
        return Err(absent(what, "use a longer one"));
    }
    Ok(value)
}
