//! The runners that have what an item wants: each of its sessions is given to the least loaded of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::coordination::limits::MAX_CAPABLE_RUNNERS;
use crate::digest::Digest;
use crate::routing::{Assignment, Candidate, Capabilities, Name, NoCandidate, assign};

/// What an item wants of who carries it out, and the runners that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapableRunners {
    /// What is wanted.
    pub wanted: Capabilities,
    /// The runners that have it, each with the digest of the input blob of what it runs.
    #[serde(deserialize_with = "crate::bounded::map::<MAX_CAPABLE_RUNNERS, _, _, _>")]
    pub inputs: BTreeMap<Name, Digest>,
}

/// The runner that a session was given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assigned {
    /// Its name.
    pub to: Name,
    /// Why it was chosen, in words.
    pub reasoning: String,
}

impl CapableRunners {
    /// Gives a session to the least loaded of them; `load` says how many sessions one has.
    ///
    /// # Errors
    /// [`NoCandidate`] if there is none.
    pub(in crate::coordination) fn assign(
        &self,
        load: impl Fn(&Name) -> u64,
    ) -> Result<Assigned, NoCandidate> {
        let candidate = |name: &Name| Candidate {
            name: name.clone(),
            capabilities: self.wanted.clone(),
            load: load(name),
        };
        let candidates: Vec<Candidate> = self.inputs.keys().map(candidate).collect();
        let Assignment { candidate, reasoning } = assign(&self.wanted, &candidates)?;
        Ok(Assigned { to: candidate.name.clone(), reasoning })
    }
}
