//! Which decision is recorded of an attempt. Whatever is handed in, one is: what cannot be done becomes
//! an error that says so.

use std::collections::BTreeSet;

use super::given::{Route, RouteVote};
use super::illegal::IllegalRoute;
use crate::coordination::error::TerminationError;
use crate::coordination::event::{CoordinationEvent, Routed};
use crate::coordination::life::Change;
use crate::coordination::limits::{MAX_ROUTES, MAX_TEXT_BYTES, MAX_VOTE_TEXT_BYTES, MAX_VOTES};
use crate::coordination::session::{SessionEnd, shortened};
use crate::coordination::state::Coordination;
use crate::coordination::work::{Destination, WorkItem};
use crate::id::WorkId;
use crate::routing::RoutingDecision;

/// All that confidence is counted in.
const ONE: u32 = 1_000_000;

/// A decision as it is recorded.
pub(in crate::coordination) struct Decided {
    /// Adds the visits that it begins.
    pub(in crate::coordination) added: Vec<CoordinationEvent>,
    pub(in crate::coordination) routed: Routed,
}

/// Whether a decision names as many items as it has to.
fn check_targets(decision: RoutingDecision, to: usize) -> Result<(), IllegalRoute> {
    let fits = match decision {
        RoutingDecision::Branch => to == 1,
        RoutingDecision::Parallel => to > 0,
        RoutingDecision::Continue
        | RoutingDecision::Retry
        | RoutingDecision::Skip
        | RoutingDecision::End
        | RoutingDecision::Error => to == 0,
    };
    if fits { Ok(()) } else { Err(IllegalRoute::Targets { decision, to }) }
}

impl Coordination {
    /// What is recorded of what follows a session's attempt. `None`: nothing was decided, or the session
    /// was none, so that there is nothing to decide about.
    ///
    /// # Errors
    /// [`TerminationError::SessionNotBound`] if it is not bound.
    pub(in crate::coordination) fn decide_route(
        &self,
        session: u64,
        end: &SessionEnd,
    ) -> Result<Option<Decided>, TerminationError> {
        let work = self.bound_work(session)?.clone();
        if !self.outcome_of(session, end)?.is_attempt() {
            return Ok(None);
        }
        let Some(route) = end.route.as_deref().cloned() else { return Ok(None) };
        let lead = self.lead(&work, &route);
        let (added, to, wrong) = match lead {
            Ok((added, to)) => (added, to, None),
            Err(wrong) => (Vec::new(), Vec::new(), Some(wrong)),
        };
        let routed = Routed { to, ..bounded(session, work, route, wrong) };
        Ok(Some(Decided { added, routed }))
    }

    /// The items to which a decision leads, with the events that add those which are visited again; or
    /// why it cannot be followed.
    fn lead(
        &self,
        work: &WorkId,
        route: &Route,
    ) -> Result<(Vec<CoordinationEvent>, Vec<WorkId>), Wrong> {
        let fault = |wrong: IllegalRoute| Wrong::Fault(wrong.to_string());
        let targets: BTreeSet<&WorkId> = route.to.iter().collect();
        check_targets(route.decision, targets.len()).map_err(fault)?;
        let (mut to, mut visits) = (Vec::new(), Vec::new());
        for target in targets {
            let item = self.work().find(work.as_str());
            if !item.is_some_and(|item| item.spec().routes_to.contains(target)) {
                return Err(Wrong::Fault(format!("{work} does not name {target} to route to")));
            }
            match self.work().destination(work, target).map_err(Wrong::Fault)? {
                Destination::Item(id) => to.push(id),
                Destination::Visit(spec) => {
                    to.push(spec.id.clone());
                    visits.push(*spec);
                }
            }
        }
        if to.len() > MAX_ROUTES {
            return Err(fault(IllegalRoute::Targets { decision: route.decision, to: to.len() }));
        }
        if visits.is_empty() {
            return Ok((Vec::new(), to));
        }
        if self.allow(Change::AddWork).is_err() {
            return Err(Wrong::Late);
        }
        let added = self.decide_work(visits, None, &[]);
        Ok((added.map_err(|error| Wrong::Fault(error.to_string()))?, to))
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
        check_targets(routed.decision, routed.to.len())?;
        for target in &routed.to {
            if self.work().find(target.as_str()).is_none_or(WorkItem::is_done) {
                return Err(IllegalRoute::NotThere { target: target.clone() });
            }
        }
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

/// Why a decision cannot be followed.
enum Wrong {
    /// It would begin something, and the run is ending.
    Late,
    Fault(String),
}

/// The event of a decision, within its limits; what it says that cannot be done becomes an error.
fn bounded(session: u64, work: WorkId, route: Route, wrong: Option<Wrong>) -> Routed {
    let Route { decision, confidence, reasoning, rule, votes, to: _ } = route;
    let votes = votes.into_iter().take(MAX_VOTES).map(|vote| RouteVote {
        confidence: vote.confidence.min(ONE),
        reasoning: shortened(vote.reasoning, MAX_VOTE_TEXT_BYTES),
        ..vote
    });
    let (decision, reasoning) = match wrong {
        None => (decision, reasoning),
        Some(Wrong::Late) => {
            let reasoning = format!("the run is ending and begins nothing; otherwise: {reasoning}");
            (RoutingDecision::Continue, reasoning)
        }
        Some(Wrong::Fault(wrong)) => {
            (RoutingDecision::Error, format!("{wrong}; it was decided because: {reasoning}"))
        }
    };
    Routed {
        session,
        work,
        decision,
        to: Vec::new(),
        confidence: confidence.min(ONE),
        rule,
        reasoning: shortened(reasoning, MAX_TEXT_BYTES),
        votes: votes.collect(),
    }
}
