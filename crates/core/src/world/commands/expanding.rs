//! The configuration of a nested item, once it was fetched.

use super::carry_out::CarryOut;
use crate::coordination::event::CoordinationEvent;
use crate::coordination::{
    ConfigError, CoordinationConfig, MAX_DEPTH, SessionEnd, SessionOutcome, WorkError,
};
use crate::digest::Digest;
use crate::id::{CoordinationId, SessionId, WorkId};
use crate::live::Stamp;
use crate::time::Now;
use crate::world::World;
use crate::world::answer::{Asker, Rejection};

/// Answer to [`Action::Expand`](crate::world::Action::Expand).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Expanded {
    pub coordination: CoordinationId,
    pub work: WorkId,
    /// The configuration, or why there is none.
    pub config: Result<Box<CoordinationConfig>, String>,
}

impl CarryOut for Expanded {
    type Reply = ();

    /// Binds the parent's item and starts the child, in one turn.
    fn carry_out(self, world: &mut World, _asker: Asker, now: &Now) -> Result<(), Rejection> {
        let Self { coordination: parent, work, config } = self;
        let runners = world.runners.clone();
        let member = world.member(&parent)?;
        if !member.is_expanding(work.as_str()) {
            let state = member.state().known_work(work.as_str())?.state.as_str();
            let instead = "its configuration was not requested";
            return Err(WorkError::WorkNotClaimable { work_id: work, state, instead }.into());
        }
        member.refuse_regression(now)?;
        member.expanded(&work);
        world.runnable.insert(parent.clone());
        let member = world.member(&parent)?;
        // The item may have been skipped, or the coordination paused or ended, while its
        // configuration was fetched.
        let Ok(bound) = member.state().decide_nested(work.as_str(), &runners, now) else {
            return Ok(());
        };
        let (number, grant) = (bound.session, bound.grant);
        let child = Child {
            session: member.state().session_id(number),
            depth: member.state().started().depth + 1,
            origin: member.state().started().origin,
            has_secrets: member.state().has_secrets(),
        };
        let rate = member.state().budget().tick_rate_hz();
        member.record(&CoordinationEvent::SessionBound(bound), Stamp::by_engine(now))?;
        world.collect(&parent);
        let started = config.and_then(|config| {
            let config = config.within(&grant, rate).map_err(|error| error.to_string())?;
            child.start(world, config, &work, now)
        });
        if let Err(reason) = started {
            let end = SessionEnd::new(SessionOutcome::SpawnFailed).with_text(reason);
            world.member(&parent)?.unbind(number, end, None, Stamp::by_engine(now))?;
            world.collect(&parent);
        }
        Ok(())
    }
}

/// A nested coordination that is to be started.
struct Child {
    /// The session of the parent that it carries out.
    session: SessionId,
    depth: u8,
    /// Where the parent was started from, and with it the child.
    origin: Option<Digest>,
    /// Whether the parent's secrets are here; they are the child's too.
    has_secrets: bool,
}

impl Child {
    fn start(
        self,
        world: &mut World,
        config: CoordinationConfig,
        work: &WorkId,
        now: &Now,
    ) -> Result<(), String> {
        if self.depth > MAX_DEPTH {
            let too_deep = ConfigError::TooDeep { work_id: work.clone(), max: MAX_DEPTH };
            return Err(too_deep.to_string());
        }
        let id = self.session.nested_coordination().map_err(|error| error.to_string())?;
        let parent = Some((self.session, self.depth));
        let config = config.with_origin(self.origin);
        let begun = world.begin(id.clone(), config, parent, Stamp::by_engine(now));
        if self.has_secrets {
            world.hold_secrets(&id);
        }
        begun.map_err(|error| error.to_string())
    }
}
