//! What a plan takes from the caller, the process that submits it: variables, where the values of
//! secrets come from, and digests of input files.
//!
//! It never reads the value of a secret.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use antiphon_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::input_digests::InputDigests;
use super::text::{DiagnosticCode, Diagnostics, Span};
use super::wanted::Wanted;

/// Variables of the caller that every session has, if the caller has them. They are recorded once,
/// at the start of a run.
const INHERITED: &[&str] =
    &["HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TZ", "USER"];

/// Variables that every session has from the engine that carries it out, if the engine has them: a
/// directory for temporary files and a terminal belong to where a process runs.
const OF_THE_ENGINE: &[&str] = &["TERM", "TMPDIR"];

/// The environment of the caller, the process that submits a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Environment {
    /// These variables, and no others.
    Of(BTreeMap<String, String>),
    /// Not known, as when a plan is only checked: nothing is taken from it, nothing is missing, and
    /// no input is hashed.
    Unknown,
}

impl Environment {
    /// That of this process, as far as it is UTF-8.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::Of(std::env::vars_os().filter_map(text).collect())
    }

    /// Whether every session has this variable, as the caller or the engine has it: it is no part of
    /// what an item does.
    pub(crate) fn is_inherited(name: &str) -> bool {
        INHERITED.contains(&name) || OF_THE_ENGINE.contains(&name)
    }

    /// What every session has from this process, which carries it out.
    pub(crate) fn of_the_engine() -> Vec<(&'static str, OsString)> {
        OF_THE_ENGINE.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect()
    }

    /// The variables that every session has from here.
    #[must_use]
    pub fn inherited(&self) -> BTreeMap<String, String> {
        let inherited = |name: &&str| Some(((*name).to_owned(), self.get(name)?.to_owned()));
        INHERITED.iter().filter_map(inherited).collect()
    }

    /// A variable, if it is known and there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        match self {
            Self::Of(variables) => variables.get(name).map(String::as_str),
            Self::Unknown => None,
        }
    }
}

/// A secret, and where the caller takes its value from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSource {
    /// The name that descriptions of commands give.
    pub name: String,
    /// Where the value is.
    pub from: SecretFrom,
}

/// Where the value of a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretFrom {
    /// In the variable of the same name.
    Variable,
    /// In what a command prints.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The directory that it runs in.
        dir: PathBuf,
    },
}

/// The caller, and what was taken from it.
#[derive(Debug)]
pub(in crate::plan) struct CallerValues<'e> {
    environment: &'e Environment,
    taken: BTreeMap<String, String>,
    secrets: Vec<SecretSource>,
    /// Where each secret is among these.
    known: BTreeMap<String, usize>,
    digests: InputDigests,
    wanted: Wanted,
}

impl<'e> CallerValues<'e> {
    /// What it is asked for is looked for as long as it is wanted.
    pub(in crate::plan) fn new(environment: &'e Environment, wanted: Wanted) -> Self {
        let (taken, known) = (BTreeMap::new(), BTreeMap::new());
        let digests = InputDigests::new();
        Self { environment, taken, secrets: Vec::new(), known, digests, wanted }
    }

    /// Whether its environment is known, so that what is not in it is missing.
    pub(in crate::plan) fn is_known(&self) -> bool {
        *self.environment != Environment::Unknown
    }

    /// A variable of its environment; that it was asked for is noted.
    pub(in crate::plan) fn variable(&mut self, name: &str) -> Option<String> {
        let value = self.environment.get(name)?;
        self.taken.insert(name.to_owned(), value.to_owned());
        Some(value.to_owned())
    }

    /// The variables that every session has.
    pub(in crate::plan) fn inherited(&self) -> BTreeMap<String, String> {
        self.environment.inherited()
    }

    /// Asks for a secret; two sources of one name are reported.
    pub(in crate::plan) fn secret(
        &mut self,
        name: &str,
        from: SecretFrom,
        span: Span,
        diagnostics: &mut Diagnostics<'_>,
    ) {
        match self.known.get(name).map(|index| &self.secrets[*index]) {
            None => {
                self.known.insert(name.to_owned(), self.secrets.len());
                self.secrets.push(SecretSource { name: name.to_owned(), from });
            }
            Some(known) if known.from == from => {}
            Some(_) => {
                let message = format!("the secret `{name}` has two different sources");
                diagnostics
                    .error(DiagnosticCode::Conflict, span, message)
                    .hint("rename one of the variables");
            }
        }
    }

    /// The digest of an input file, as [`InputDigests`] has it.
    ///
    /// # Errors
    /// What the system says if it cannot be read: a session of the same user could not, either.
    pub(in crate::plan) fn digest(&mut self, path: &Path) -> Result<Option<Digest>, String> {
        if !self.is_known() {
            return Ok(None);
        }
        self.digests.of(path, &|| !self.wanted.is_over())
    }

    /// The secrets that were asked for, and the variables that the plan reads.
    pub(in crate::plan) fn into_parts(self) -> (Vec<SecretSource>, BTreeMap<String, String>) {
        (self.secrets, self.taken)
    }
}
