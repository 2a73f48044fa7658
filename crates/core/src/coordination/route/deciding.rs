//! Which decision is recorded of an attempt. Whatever is handed in, one is: what cannot be done becomes
//! an error that says so.

use super::given::{Route, RouteVote};
use super::illegal::IllegalRoute;
use crate::coordination::error::TerminationError;
use crate::coordination::event::{CoordinationEvent, Routed};
use crate::coordination::limits::{MAX_TEXT_BYTES, MAX_VOTE_TEXT_BYTES, MAX_VOTES};
use crate::coordination::session::{SessionEnd, shortened};
use crate::coordination::state::Coordination;
use crate::id::WorkId;
use crate::routing::RoutingDecision;

/// All that confidence is counted in.
const ONE: u32 = 1_000_000;

/// Whether a decision says all that has to be known to follow it.
fn check_decision(decision: RoutingDecision) -> Result<(), IllegalRoute> {
    match decision {
        RoutingDecision::Branch | RoutingDecision::Parallel => {
            Err(IllegalRoute::NoTarget { decision })
        }
        RoutingDecision::Continue
        | RoutingDecision::Retry
        | RoutingDecision::Skip
        | RoutingDecision::End
        | RoutingDecision::Error => Ok(()),
    }
}

impl Coordination {
    /// The event that says what follows a session's attempt. `None`: nothing was decided, or the
    /// session was none, so that there is nothing to decide about.
    ///
    /// # Errors
    /// [`TerminationError::SessionNotBound`] if it is not bound.
    pub(crate) fn decide_route(
        &self,
        session: u64,
        end: &SessionEnd,
    ) -> Result<Option<Routed>, TerminationError> {
        let work = self.bound_work(session)?.clone();
        if !self.outcome_of(session, end)?.is_attempt() {
            return Ok(None);
        }
        Ok(end.route.as_deref().map(|route| bounded(session, work, route.clone())))
    }

    /// Whether a recorded decision follows on this state.
    pub(in crate::coordination) fn check_routed(
        &self,
        routed: &Routed,
    ) -> Result<(), IllegalRoute> {
        let actual = self.bound_work(routed.session)?;
        if *actual != routed.work {
            return Err(IllegalRoute::OtherWork {
                session: routed.session,
                actual: actual.clone(),
                claimed: routed.work.clone(),
            });
        }
        check_decision(routed.decision)?;
        let short = |what, text: &str, max| match text.len() > max {
            true => Err(IllegalRoute::TooLong { what, max }),
            false => Ok(()),
        };
        short("its reasoning", &routed.reasoning, MAX_TEXT_BYTES)?;
        for vote in &routed.votes {
            short("the reasoning of a vote", &vote.reasoning, MAX_VOTE_TEXT_BYTES)?;
        }
        let mut all = routed.votes.iter().map(|vote| vote.confidence).chain([routed.confidence]);
        match all.find(|confidence| *confidence > ONE) {
            Some(confidence) => Err(IllegalRoute::Confidence { confidence }),
            None => Ok(()),
        }
    }

    /// Whether an event may come now: behind a decision only the end that it is about.
    pub(in crate::coordination) fn check_follows_route(
        &self,
        event: &CoordinationEvent,
    ) -> Result<(), IllegalRoute> {
        match (self.route(), event) {
            (None, _) => Ok(()),
            (Some(routed), CoordinationEvent::SessionUnbound(unbound))
                if unbound.session == routed.session =>
            {
                Ok(())
            }
            (Some(routed), _) => Err(IllegalRoute::EndOutstanding { session: routed.session }),
        }
    }
}

/// The event of a decision, within its limits; what it says that cannot be done becomes an error.
fn bounded(session: u64, work: WorkId, route: Route) -> Routed {
    let Route { decision, confidence, reasoning, rule, votes } = route;
    let votes = votes.into_iter().take(MAX_VOTES).map(|vote| RouteVote {
        confidence: vote.confidence.min(ONE),
        reasoning: shortened(vote.reasoning, MAX_VOTE_TEXT_BYTES),
        ..vote
    });
    let (decision, reasoning) = match check_decision(decision) {
        Ok(()) => (decision, reasoning),
        Err(wrong) => {
            (RoutingDecision::Error, format!("{wrong}; it was decided because: {reasoning}"))
        }
    };
    Routed {
        session,
        work,
        decision,
        confidence: confidence.min(ONE),
        rule,
        reasoning: shortened(reasoning, MAX_TEXT_BYTES),
        votes: votes.collect(),
    }
}
