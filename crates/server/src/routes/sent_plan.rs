//! A plan as it was sent: read from the request and compiled here and nowhere else.
//!
//! What the plan may take from its submitter comes with the request. The environment of this
//! process is never read for it, and the value of a secret is never repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use antiphon::plan::{
    AddedWork, Compiled, CompiledWork, Environment, Plan, PlanError, SecretSource, Wanted,
};
use antiphon::process::MIN_SECRET_BYTES;

use crate::api::{Code, Problem};
use crate::request::{Fields, pointer};

/// Most secrets of a submission: each is looked for in every message about the plan.
const MAX_SECRETS: usize = 1_000;

/// What a submitter gives besides the plan. Not `Debug`: it holds values of secrets.
pub(super) struct Given {
    pub(super) environment: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, String>,
}

/// A plan with all that it needs from its submitter.
pub(super) struct SentPlan {
    plan: String,
    name: String,
    directory: PathBuf,
    pub(super) given: Given,
    /// Whether some of its items may be taken over; it is carried out without the secrets that are
    /// missing.
    retries: bool,
    /// Whether it continues a run that is there.
    continues: bool,
}

impl Given {
    pub(super) fn read(body: &mut Fields) -> Self {
        let environment = body.texts("environment");
        Self { environment, secrets: secrets(body) }
    }
}

/// The values of secrets of a body, by name.
pub(super) fn secrets(body: &mut Fields) -> BTreeMap<String, String> {
    let secrets = body.texts("secrets");
    if secrets.len() > MAX_SECRETS {
        body.fault(
            "/secrets".to_owned(),
            format!("`secrets` has more than {MAX_SECRETS} values, the most that are allowed"),
        );
    }
    for (name, value) in &secrets {
        if value.len() < MIN_SECRET_BYTES {
            let detail = format!(
                "the secret {name} has fewer than {MIN_SECRET_BYTES} bytes, \
                     too few to tell it from other text"
            );
            body.fault(pointer("secrets", name), detail);
        }
    }
    secrets
}

fn directory(body: &mut Fields) -> PathBuf {
    let directory = PathBuf::from(body.text("directory"));
    if !directory.as_os_str().is_empty() && !directory.is_absolute() {
        body.fault(
            "/directory".to_owned(),
            "`directory` must be an absolute path: the engine may run in another directory",
        );
    }
    directory
}

impl SentPlan {
    pub(super) fn read(body: &mut Fields) -> Self {
        let plan = body.text("plan");
        Self::with_text(body, plan)
    }

    /// Items that are added to a run, in the words of a plan. They have no secrets.
    pub(super) fn read_added(body: &mut Fields) -> Self {
        let text = body.text("work");
        let name = body.text("name");
        let directory = directory(body);
        let environment = body.texts("environment");
        let given = Given { environment, secrets: BTreeMap::new() };
        Self { plan: text, name, directory, given, retries: false, continues: false }
    }

    /// The plan of a retry, which may be absent.
    pub(super) fn read_for_retry(body: &mut Fields) -> Result<Self, Given> {
        match body.optional_text("plan") {
            Some(plan) => Ok(Self { retries: true, ..Self::with_text(body, plan) }),
            None => {
                for name in ["name", "directory"] {
                    if body.optional_text(name).is_some() {
                        let detail = format!("`{name}` is that of a `plan`, which is missing");
                        body.fault(format!("/{name}"), detail);
                    }
                }
                Err(Given::read(body))
            }
        }
    }

    fn with_text(body: &mut Fields, plan: String) -> Self {
        let name = body.text("name");
        let directory = directory(body);
        let given = Given::read(body);
        Self { plan, name, directory, given, retries: false, continues: false }
    }

    /// The length of its text.
    pub(super) fn bytes(&self) -> usize {
        self.plan.len()
    }

    /// What the engine starts. Reads the files that the plan names, so it belongs on a thread that
    /// may block.
    pub(super) fn compile(&self, wanted: &Wanted) -> Result<Compiled, Problem> {
        let refused = |detail: String| Problem::new(Code::Refused, self.redacted(detail));
        let environment = self.environment()?;
        let read = if self.retries { Plan::read_text_for_retry } else { Plan::read_text };
        let plan = read(&self.plan, &self.name, &self.directory, wanted);
        let compiled = plan
            .and_then(|plan| plan.compile_while(&environment, wanted))
            .map_err(|error| self.problem(&error))?;
        match compiled.secrets.iter().find(|secret| !self.given.secrets.contains_key(&secret.name))
        {
            Some(absent) if !self.continues && !self.retries => Err(refused(format!(
                "the plan needs the secret {}; give its value with `secrets`",
                absent.name
            ))),
            _ => Ok(compiled),
        }
    }

    /// What is added to a run, as for [`SentPlan::compile`].
    pub(super) fn compile_added(&self, wanted: &Wanted) -> Result<CompiledWork, Problem> {
        let environment = self.environment()?;
        let work = AddedWork::read_text(&self.plan, &self.name, &self.directory, wanted);
        work.and_then(|work| work.compile_while(&environment, wanted))
            .map_err(|error| self.problem(&error))
    }

    /// The environment that it is compiled in.
    fn environment(&self) -> Result<Environment, Problem> {
        if self.directory.is_dir() {
            return Ok(Environment::Of(self.given.environment.clone()));
        }
        let detail = format!("there is no directory {}", self.directory.display());
        Err(Problem::new(Code::Refused, self.redacted(detail)))
    }

    /// The same for a run that is there, which is continued without the secrets that are missing.
    pub(super) fn continuing(self) -> Self {
        Self { continues: true, ..self }
    }

    /// Whether values of secrets that the plan needs are missing.
    pub(super) fn lacks_secrets(&self, needed: &[SecretSource]) -> bool {
        needed.iter().any(|secret| !self.given.secrets.contains_key(&secret.name))
    }

    /// What is wrong with the plan, without the values of secrets that it quotes.
    fn problem(&self, error: &PlanError) -> Problem {
        let mut problem = Problem::of_plan(error, &self.name);
        problem.detail = self.redacted(problem.detail);
        for fault in &mut problem.errors {
            let redact = |text: &mut Option<String>| {
                *text = text.take().map(|text| self.redacted(text));
            };
            fault.detail = self.redacted(std::mem::take(&mut fault.detail));
            redact(&mut fault.file);
            redact(&mut fault.suggestion);
            let before = fault.text.as_ref().map(String::len);
            redact(&mut fault.text);
            // What is marked lies elsewhere in a text of which a part was replaced.
            if fault.text.as_ref().map(String::len) != before {
                fault.mark = None;
            }
        }
        problem
    }

    /// Values of secrets are replaced as they are, and as messages quote them.
    pub(super) fn redacted(&self, mut text: String) -> String {
        for (name, value) in &self.given.secrets {
            let quoted = value.escape_debug().to_string();
            for form in [value, &quoted] {
                if text.contains(form) {
                    text = text.replace(form, &format!("[secret {name}]"));
                }
            }
        }
        text
    }
}
