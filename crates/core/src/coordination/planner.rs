//! The advisory planner: expected free energy of an item, lower first.
//!
//! It can only order work that may start anyway; it authorises nothing. Scores are fixed-point
//! millionths, so that equal inputs give equal bytes on every machine.

use serde::{Deserialize, Serialize};

use super::limits::TIER3_ESCALATION_THRESHOLD;
use crate::digest::{Canonical, Digest};
use crate::id::{CoordinationId, WorkId};

/// Millionths in one.
const ONE: u32 = 1_000_000;

/// Why planner input was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum PlannerError {
    /// A number is not a number, or infinite.
    #[error("{field} is {value}; it must be a finite number")]
    InvalidFloat { field: &'static str, value: f64 },
    /// A score is outside of its range.
    #[error("{field} is {value}; it must be between 0 and 1")]
    OutOfRange { field: &'static str, value: f64 },
    /// A stored score is not what its inputs give.
    #[error("the score of {work_id} is {claimed} millionths, but its inputs give {computed}")]
    ForgedScore {
        work_id: WorkId,
        /// The score found, in millionths.
        claimed: u32,
        /// The score that follows from components and weights, in millionths.
        computed: u32,
    },
}

fn millionths(field: &'static str, value: f64) -> Result<u32, PlannerError> {
    if !value.is_finite() {
        return Err(PlannerError::InvalidFloat { field, value });
    }
    if !(0.0..=1.0).contains(&value) {
        return Err(PlannerError::OutOfRange { field, value });
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was just checked"
    )]
    Ok((value * f64::from(ONE)).round() as u32)
}

/// How much each component counts; each in [0, 1], kept in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "[u32; 3]", into = "[u32; 3]")]
pub struct EfeWeights {
    risk: u32,
    uncertainty: u32,
    cost: u32,
}

impl Default for EfeWeights {
    /// All count fully.
    fn default() -> Self {
        Self { risk: ONE, uncertainty: ONE, cost: ONE }
    }
}

impl EfeWeights {
    /// Sets the weights; finite values are clamped to [0, 1].
    ///
    /// # Errors
    /// [`PlannerError::InvalidFloat`] for a value that is not finite.
    pub fn new(risk: f64, uncertainty: f64, cost: f64) -> Result<Self, PlannerError> {
        // NaN passes through clamp and is refused after it; infinities would be clamped, so they
        // are refused before.
        let weight = |field, value: f64| {
            let bounded = if value.is_finite() { value.clamp(0.0, 1.0) } else { value };
            millionths(field, bounded)
        };
        Ok(Self {
            risk: weight("lambda_risk", risk)?,
            uncertainty: weight("lambda_uncertainty", uncertainty)?,
            cost: weight("lambda_cost", cost)?,
        })
    }
}

impl From<EfeWeights> for [u32; 3] {
    fn from(weights: EfeWeights) -> Self {
        [weights.risk, weights.uncertainty, weights.cost]
    }
}

impl TryFrom<[u32; 3]> for EfeWeights {
    type Error = PlannerError;
    fn try_from([risk, uncertainty, cost]: [u32; 3]) -> Result<Self, PlannerError> {
        bounded("weight", [risk, uncertainty, cost])?;
        Ok(Self { risk, uncertainty, cost })
    }
}

fn bounded(field: &'static str, values: [u32; 3]) -> Result<(), PlannerError> {
    match values.into_iter().find(|&value| value > ONE) {
        Some(value) => {
            Err(PlannerError::OutOfRange { field, value: f64::from(value) / f64::from(ONE) })
        }
        None => Ok(()),
    }
}

/// What speaks against an item now; each in [0, 1], 0 is best, kept in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "[u32; 3]", into = "[u32; 3]")]
pub struct EfeComponents {
    expected_policy_violation: u32,
    expected_evidence_ambiguity: u32,
    expected_resource_cost: u32,
}

impl EfeComponents {
    /// Sets the components.
    ///
    /// # Errors
    /// [`PlannerError::InvalidFloat`] or [`PlannerError::OutOfRange`] names the first bad one.
    pub fn new(violation: f64, ambiguity: f64, resource_cost: f64) -> Result<Self, PlannerError> {
        Ok(Self {
            expected_policy_violation: millionths("expected_policy_violation", violation)?,
            expected_evidence_ambiguity: millionths("expected_evidence_ambiguity", ambiguity)?,
            expected_resource_cost: millionths("expected_resource_cost", resource_cost)?,
        })
    }

    /// What the kernel itself can tell of an item: the share of attempts that failed, whether its
    /// last session left nothing to judge it by, and the share of the token budget that its
    /// sessions used.
    #[must_use]
    pub(super) fn observed(
        attempts: u32,
        max_attempts: u32,
        has_output: bool,
        tokens: u64,
        max_tokens: Option<u64>,
    ) -> Self {
        let share = |part: u64, whole: u64| {
            let share = u128::from(part) * u128::from(ONE) / u128::from(whole.max(1));
            u32::try_from(share).unwrap_or(ONE).min(ONE)
        };
        Self {
            expected_policy_violation: share(attempts.into(), max_attempts.into()),
            expected_evidence_ambiguity: if attempts > 0 && !has_output { ONE } else { 0 },
            expected_resource_cost: max_tokens.map_or(0, |max| share(tokens, max)),
        }
    }

    /// The weighted sum, in millionths: 0 to 3,000,000, lower is better.
    #[must_use]
    pub fn compute_efe(&self, weights: &EfeWeights) -> u32 {
        let part = |weight: u32, value: u32| u64::from(weight) * u64::from(value);
        let sum = part(weights.risk, self.expected_policy_violation)
            + part(weights.uncertainty, self.expected_evidence_ambiguity)
            + part(weights.cost, self.expected_resource_cost);
        u32::try_from(sum / u64::from(ONE)).unwrap_or(u32::MAX)
    }
}

impl From<EfeComponents> for [u32; 3] {
    fn from(components: EfeComponents) -> Self {
        [
            components.expected_policy_violation,
            components.expected_evidence_ambiguity,
            components.expected_resource_cost,
        ]
    }
}

impl TryFrom<[u32; 3]> for EfeComponents {
    type Error = PlannerError;
    fn try_from(values: [u32; 3]) -> Result<Self, PlannerError> {
        bounded("component", values)?;
        let [expected_policy_violation, expected_evidence_ambiguity, expected_resource_cost] =
            values;
        Ok(Self { expected_policy_violation, expected_evidence_ambiguity, expected_resource_cost })
    }
}

/// The planner's view of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ObjectiveFields")]
pub struct EfeObjective {
    work_id: WorkId,
    components: EfeComponents,
    weights: EfeWeights,
    efe_score: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectiveFields {
    work_id: WorkId,
    components: EfeComponents,
    weights: EfeWeights,
    efe_score: u32,
}

impl TryFrom<ObjectiveFields> for EfeObjective {
    type Error = PlannerError;
    fn try_from(fields: ObjectiveFields) -> Result<Self, PlannerError> {
        let objective = Self::new(fields.work_id, fields.components, fields.weights);
        if objective.efe_score != fields.efe_score {
            return Err(PlannerError::ForgedScore {
                work_id: objective.work_id,
                claimed: fields.efe_score,
                computed: objective.efe_score,
            });
        }
        Ok(objective)
    }
}

impl EfeObjective {
    /// Scores an item.
    #[must_use]
    pub fn new(work_id: WorkId, components: EfeComponents, weights: EfeWeights) -> Self {
        Self { work_id, efe_score: components.compute_efe(&weights), components, weights }
    }

    /// The item.
    #[must_use]
    pub fn work_id(&self) -> &WorkId {
        &self.work_id
    }

    /// Its score in millionths, lower is better.
    #[must_use]
    pub fn efe_score(&self) -> u32 {
        self.efe_score
    }

    /// Digest of what the score was computed from.
    #[must_use]
    pub fn inputs_hash(&self) -> Digest {
        let mut bytes = Canonical::new("antiphon.objective-inputs.1");
        for value in
            <[u32; 3]>::from(self.components).into_iter().chain(<[u32; 3]>::from(self.weights))
        {
            bytes.u32(value);
        }
        bytes.hash()
    }
}

/// Evidence of a planner decision on an item that escalated: it took [`TIER3_ESCALATION_THRESHOLD`]
/// attempts or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct CoordinationObjectiveReceiptV1 {
    pub coordination_id: CoordinationId,
    pub work_id: WorkId,
    /// Digest of components and weights.
    pub objective_inputs_hash: Digest,
    /// The score in millionths.
    pub efe_score: u32,
    /// How often the item escalated.
    pub escalation_count: u32,
    /// When the receipt was made, in nanoseconds of ledger time.
    pub emitted_at: u64,
}

impl CoordinationObjectiveReceiptV1 {
    /// Makes the receipt, or none if the item has not escalated.
    #[must_use]
    pub fn new(
        coordination_id: CoordinationId,
        objective: &EfeObjective,
        escalation_count: u32,
        emitted_at: u64,
    ) -> Option<Self> {
        (escalation_count >= TIER3_ESCALATION_THRESHOLD).then(|| Self {
            coordination_id,
            work_id: objective.work_id.clone(),
            objective_inputs_hash: objective.inputs_hash(),
            efe_score: objective.efe_score,
            escalation_count,
            emitted_at,
        })
    }

    /// The hash over all of it, length-prefixed.
    #[must_use]
    pub fn compute_hash(&self) -> Digest {
        let mut bytes = Canonical::new("antiphon.objective-receipt.1");
        bytes
            .text(self.coordination_id.as_str())
            .text(self.work_id.as_str())
            .digest(&self.objective_inputs_hash)
            .u32(self.efe_score)
            .u32(self.escalation_count)
            .u64(self.emitted_at);
        bytes.hash()
    }

    /// Whether this is the receipt with that hash.
    #[must_use]
    pub fn verify(&self, expected: &Digest) -> bool {
        self.compute_hash() == *expected
    }
}
