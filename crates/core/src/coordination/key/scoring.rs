//! How the scores of a result become the scores of gates.

use super::gate::gate_of;
use super::write::KeyWrite;
use crate::coordination::error::{KeyError, TerminationError};
use crate::coordination::event::KeySet;
use crate::coordination::session::{SessionEnd, SessionOutcome};
use crate::coordination::state::Coordination;
use crate::id::Actor;
use crate::json_text::JsonText;

impl Coordination {
    /// The event that scores the gates for which a session's item is named, from the result with which
    /// it succeeded. What failed is not believed.
    ///
    /// The inner error: a run that has all the keys that it may have takes no score, but the session
    /// ends all the same.
    ///
    /// # Errors
    /// [`TerminationError::SessionNotBound`] if it is not bound.
    pub(crate) fn decide_scores(
        &self,
        session: u64,
        end: &SessionEnd,
    ) -> Result<Result<Option<KeySet>, KeyError>, TerminationError> {
        if end.scores.is_empty() || self.outcome_of(session, end)? != SessionOutcome::Success {
            return Ok(Ok(None));
        }
        let Some((_, item)) = self.binding(session) else { return Ok(Ok(None)) };
        let scored = item.scores.iter().filter_map(|key| {
            let score = end.scores.get(gate_of(key)?)?;
            KeyWrite::set(key.clone(), JsonText::new(score.to_string()).ok()?).ok()
        });
        let by = Actor::session(&self.session_id(session));
        let decided = self.decide_keys(scored.collect(), by, Some(&item.scores));
        Ok(decided.map(|decided| decided.map(|(set, _)| set)))
    }
}
