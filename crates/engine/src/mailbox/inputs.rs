//! Inputs that items name: each is handed in with them, or is in the ledger already.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_core::coordination::{CoordinationConfig, Runner, WorkSpec};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;
use antiphon_core::id::WorkId;

use super::error::SubmitError;
use super::handle::{Handle, nested_config};

impl Handle {
    /// Refuses items whose input was not handed in, those of nested plans included.
    pub(super) async fn require_inputs(
        &self,
        items: &[WorkSpec],
        inputs: &[Blob],
    ) -> Result<(), SubmitError> {
        let absent: BTreeMap<Digest, WorkId> = not_handed_in(items, inputs);
        if absent.is_empty() {
            return Ok(());
        }
        let missing = self.read(move |store| {
            for (input, work) in absent {
                if store.blob(&input)?.is_none() {
                    return Ok(Some((work, input)));
                }
            }
            Ok(None)
        });
        match missing.await? {
            Some((work, input)) => Err(SubmitError::InputMissing { work, input }),
            None => Ok(()),
        }
    }

    /// Refuses a run whose origin was not handed in.
    pub(super) async fn require_origin(
        &self,
        config: &CoordinationConfig,
        inputs: &[Blob],
    ) -> Result<(), SubmitError> {
        let Some(origin) = config.origin() else { return Ok(()) };
        let is_there =
            inputs.iter().any(|blob| blob.digest == origin) || self.blob(origin).await?.is_some();
        if is_there { Ok(()) } else { Err(SubmitError::OriginMissing { origin }) }
    }
}

impl Handle {
    /// Refuses schemas of signals that were not handed in.
    pub(super) async fn require_schemas(
        &self,
        config: &CoordinationConfig,
        inputs: &[Blob],
    ) -> Result<(), SubmitError> {
        let given = |digest: &Digest| inputs.iter().any(|blob| blob.digest == *digest);
        match config.signal_schemas().filter(|digest| !given(digest)) {
            Some(digest) if self.blob(digest).await?.is_none() => {
                Err(SubmitError::SchemasMissing { digest })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a command for the end whose description was not handed in.
    pub(super) async fn require_on_end(
        &self,
        config: &CoordinationConfig,
        inputs: &[Blob],
    ) -> Result<(), SubmitError> {
        let given = |digest: &Digest| inputs.iter().any(|blob| blob.digest == *digest);
        match config.on_end().filter(|digest| !given(digest)) {
            Some(digest) if self.blob(digest).await?.is_none() => {
                Err(SubmitError::OnEndMissing { digest })
            }
            _ => Ok(()),
        }
    }
}

/// The inputs that are not among those handed in, each with an item that names it.
fn not_handed_in(items: &[WorkSpec], inputs: &[Blob]) -> BTreeMap<Digest, WorkId> {
    let given: BTreeMap<Digest, &Blob> = inputs.iter().map(|blob| (blob.digest, blob)).collect();
    let mut absent = BTreeMap::new();
    let mut nested: Vec<CoordinationConfig> = Vec::new();
    // Plans that name a plan many times, which names another one many times, are looked into once.
    let mut seen = BTreeSet::new();
    let mut look = |items: &[WorkSpec], nested: &mut Vec<CoordinationConfig>| {
        for item in items {
            for input in item.inputs() {
                match (given.get(&input), &item.runner) {
                    (None, _) => drop(absent.entry(input).or_insert_with(|| item.id.clone())),
                    // One that is no plan fails when it is expanded, and says why.
                    (Some(plan), Runner::Nested { .. }) if seen.insert(input) => {
                        nested.extend(nested_config(&plan.bytes));
                    }
                    (Some(_), _) => {}
                }
            }
        }
    };
    look(items, &mut nested);
    while let Some(config) = nested.pop() {
        look(config.work(), &mut nested);
    }
    absent
}

#[cfg(test)]
mod tests {
    use antiphon_core::coordination::CoordinationBudget;

    use super::*;
    use crate::event::OnTripped;
    use crate::plan::PlanSpec;

    fn item(id: &str, runner: Runner, input: Digest) -> WorkSpec {
        WorkSpec::new(WorkId::new(id).unwrap(), runner).with_input(input)
    }

    #[test]
    fn a_plan_that_is_named_many_times_is_looked_into_once() {
        let absent = Digest::of(b"what nobody handed in");
        let mut work = vec![item("deepest", Runner::Caller, absent)];
        let mut plans = Vec::new();
        // Each names the one below twice: 2^40 ways lead to the deepest item.
        for _ in 0..40 {
            let plan = PlanSpec {
                schema: 1,
                name: "nested".to_owned(),
                budget: CoordinationBudget::new(10, 60_000, 1_000, None).unwrap(),
                concurrency: 1,
                attempts: None,
                breaker: None,
                on_tripped: OnTripped::Stop,
                pausing: false,
                labels: BTreeMap::new(),
                widths: BTreeMap::new(),
                work,
                forerunner: None,
                signal_schemas: None,
            };
            let plan = Blob::new(plan.to_bytes());
            work =
                ["a", "b"].map(|id| item(id, Runner::Nested { sessions: 1 }, plan.digest)).into();
            plans.push(plan);
        }
        let deepest = WorkId::new("deepest").unwrap();
        assert_eq!(not_handed_in(&work, &plans), BTreeMap::from([(absent, deepest)]));
    }
}
