//! The secrets of a run: which it needs, and their values for one that is resumed.

use std::collections::BTreeMap;
use std::fmt;

use antiphon::id::CoordinationId;
use antiphon::plan::{SecretFrom, SecretSource};
use serde::{Deserialize, Serialize};

/// The secrets that a run needs. Values are never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSecrets {
    /// Its id; of a nested run that of the run it is in, which has them.
    pub run: String,
    /// Each with where whoever submitted the run took its value from.
    pub secrets: Vec<SecretSource>,
}

/// A run is to be carried out again. `Debug` shows the names of secrets, and no value.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeRequest {
    /// Values of the secrets that it needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

impl RunSecrets {
    /// Those of a run, or of the run that a nested one is in.
    #[must_use]
    pub fn of(run: &CoordinationId, secrets: Vec<SecretSource>) -> Self {
        Self { run: run.outermost().to_string(), secrets }
    }

    /// The command that resumes the run and brings them, with what has to be there for it: the
    /// beginning of a sentence that goes on with the verb.
    #[must_use]
    pub fn resumed_by(&self) -> String {
        let (mut variables, mut commands) = (Vec::new(), Vec::new());
        for SecretSource { name, from } in &self.secrets {
            match from {
                SecretFrom::Variable => variables.push(name.as_str()),
                SecretFrom::Command { .. } => commands.push(name.as_str()),
            }
        }
        let mut conditions = Vec::new();
        if !variables.is_empty() {
            conditions.push(format!("{} set", listed(&variables)));
        }
        if !commands.is_empty() {
            let noun = if commands.len() == 1 { "command" } else { "commands" };
            conditions.push(format!("the {noun} for {} working", listed(&commands)));
        }
        match conditions.is_empty() {
            true => format!("`antiphon resume {}`", self.run),
            false => format!("`antiphon resume {}`, with {},", self.run, conditions.join(" and ")),
        }
    }

    /// The command that brings them, likewise, where the run waits for them: those of a plan that is
    /// not recorded are brought with it.
    #[must_use]
    pub fn brought_by(&self) -> String {
        match self.secrets.is_empty() {
            true => format!("`antiphon run PLAN --id {}`, which brings its secrets,", self.run),
            false => self.resumed_by(),
        }
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

impl fmt::Debug for ResumeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("ResumeRequest").field("secrets", &names).finish()
    }
}
