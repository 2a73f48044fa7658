//! Runs that an earlier version recorded, which wrote what sessions inherit into the description of
//! each command.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::{CoordinationConfig, Runner, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;

use super::recorded::RecordedStart;
use crate::ledger::{ReadError, Store};
use crate::plan::{CommandSpec, EnvValue, Environment, PlanSpec};

/// The variables that sessions inherit, as they were recorded.
type Inherited = BTreeMap<String, EnvValue>;

/// What is submitted, in the form in which that version recorded it; `None` unless it is then what
/// was recorded, byte for byte.
pub(super) fn as_recorded(
    store: &dyn Store,
    then: &RecordedStart,
    config: &CoordinationConfig,
    blobs: &[Blob],
) -> Result<Option<(CoordinationConfig, Vec<Blob>)>, ReadError> {
    if then.started.origin.is_some() {
        return Ok(None);
    }
    let mut inherited = Inherited::new();
    let (mut work, mut seen) = (then.items.clone(), BTreeSet::new());
    while let Some(item) = work.pop() {
        let Some(input) = item.input.filter(|input| seen.insert(*input)) else { continue };
        let Some(bytes) = store.blob(&input)? else { return Ok(None) };
        match item.runner {
            Runner::Process { .. } => {
                let env = CommandSpec::from_bytes(&bytes).map(|command| command.env);
                let named = env.unwrap_or_default().into_iter();
                inherited.extend(named.filter(|(name, _)| Environment::is_inherited(name)));
            }
            Runner::Nested { .. } => {
                work.extend(PlanSpec::from_bytes(&bytes).map(|plan| plan.work).unwrap_or_default());
            }
            _ => {}
        }
    }
    let given = blobs.iter().map(|blob| (blob.digest, blob)).collect();
    let mut form = Form { inherited, given, rewritten: BTreeMap::new(), blobs: Vec::new() };
    let work = config.work().iter().map(|item| form.item(item)).collect();
    let Ok(config) = config.clone().with_work(work) else { return Ok(None) };
    let config = config.with_origin(None);
    let is_same = config.digest() == then.started.plan;
    Ok(is_same.then_some((config, form.blobs)))
}

/// Descriptions in the form of that version.
struct Form<'b> {
    inherited: Inherited,
    given: BTreeMap<Digest, &'b Blob>,
    /// What each description became.
    rewritten: BTreeMap<Digest, Digest>,
    blobs: Vec<Blob>,
}

impl Form<'_> {
    fn item(&mut self, item: &WorkSpec) -> WorkSpec {
        let input = item.input.map(|input| self.description(&item.runner, input));
        WorkSpec { input, ..item.clone() }
    }

    fn description(&mut self, runner: &Runner, input: Digest) -> Digest {
        if let Some(known) = self.rewritten.get(&input) {
            return *known;
        }
        let Some(given) = self.given.get(&input).copied() else { return input };
        let rewritten = match runner {
            Runner::Process { .. } => CommandSpec::from_bytes(&given.bytes).ok().map(|command| {
                let mut env = self.inherited.clone();
                env.extend(command.env);
                CommandSpec { env, ..command }.to_bytes()
            }),
            Runner::Nested { .. } => PlanSpec::from_bytes(&given.bytes).ok().map(|plan| {
                let work = plan.work.iter().map(|item| self.item(item)).collect();
                PlanSpec { work, ..plan }.to_bytes()
            }),
            _ => None,
        };
        let blob = Blob::new(rewritten.unwrap_or_else(|| given.bytes.clone()));
        self.rewritten.insert(input, blob.digest);
        let digest = blob.digest;
        self.blobs.push(blob);
        digest
    }
}
