//! The plan of an earlier run as it is recorded, with its input files as they are now. If that run
//! was a retry, what it took over, and the runs that its nested plans retried, are no part of the
//! plan.

use std::collections::BTreeMap;
use std::path::Path;

use antiphon_core::coordination::{Runner, WorkSpec};
use antiphon_core::digest::Digest;

use crate::plan::{CommandSpec, InputDigests, PlanSpec};

/// Takes items back to what their plan says, with the nested plans in them.
pub(super) struct RecordedPlan<'a> {
    blobs: &'a BTreeMap<Digest, Vec<u8>>,
    /// What each description came to.
    known: BTreeMap<Digest, Digest>,
    /// The digests of input files now.
    digests: InputDigests,
    /// Descriptions that are not recorded so.
    new: Vec<Vec<u8>>,
}

impl<'a> RecordedPlan<'a> {
    pub(super) fn new(blobs: &'a BTreeMap<Digest, Vec<u8>>) -> Self {
        Self { blobs, known: BTreeMap::new(), digests: InputDigests::new(), new: Vec::new() }
    }

    pub(super) fn items<'w>(
        &mut self,
        items: impl IntoIterator<Item = &'w WorkSpec>,
    ) -> Vec<WorkSpec> {
        items.into_iter().map(|item| self.item(item)).collect()
    }

    /// The descriptions that the items name now and that nobody has recorded.
    pub(super) fn into_blobs(self) -> Vec<Vec<u8>> {
        self.new
    }

    fn item(&mut self, item: &WorkSpec) -> WorkSpec {
        let item = item.clone().planned();
        let now = match item.runner {
            Runner::Nested { .. } => Self::plan,
            Runner::Process { .. } => Self::command,
            _ => return item,
        };
        item.with_inputs(|description| self.described(description, now))
    }

    /// What a description came to, each read once.
    fn described(
        &mut self,
        digest: Digest,
        now: fn(&mut Self, &[u8]) -> Option<Vec<u8>>,
    ) -> Digest {
        if let Some(known) = self.known.get(&digest) {
            return *known;
        }
        let blobs = self.blobs;
        let changed = blobs.get(&digest).and_then(|bytes| now(self, bytes));
        let now = changed.map_or(digest, |bytes| {
            let now = Digest::of(&bytes);
            self.new.push(bytes);
            now
        });
        self.known.insert(digest, now);
        now
    }

    /// A nested plan, if it is not as it is recorded.
    fn plan(&mut self, recorded: &[u8]) -> Option<Vec<u8>> {
        let plan = PlanSpec::from_bytes(recorded).ok()?;
        let work = self.items(&plan.work);
        let same = plan.forerunner.is_none() && work == plan.work;
        (!same).then(|| plan.planned(work).to_bytes())
    }

    /// The description of a command, if one of its input files is not as it is recorded.
    fn command(&mut self, recorded: &[u8]) -> Option<Vec<u8>> {
        let command = CommandSpec::from_bytes(recorded).ok()?;
        // One that cannot be read has none.
        let digest = |path: &Path| self.digests.of(path, &|| true).ok().flatten();
        Some(command.with_inputs_as_now(digest)?.to_bytes())
    }
}
