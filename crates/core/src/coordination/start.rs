//! The first events of a coordination.

use super::config::{CoordinationConfig, StartFacts};
use super::error::ConfigError;
use super::event::CoordinationEvent;
use super::state::Coordination;
use super::work::events;
use crate::envelope::MAX_PAYLOAD_BYTES;
use crate::id::{CoordinationId, StreamName};
use crate::live::{Live, Stamp};
use crate::schema::AggregateEvent as _;

impl Live<Coordination> {
    /// Begins a coordination and returns what must follow its first event before anything binds.
    pub(crate) fn start(
        id: CoordinationId,
        config: CoordinationConfig,
        facts: StartFacts,
        stamp: Stamp<'_>,
    ) -> Result<(Self, Vec<CoordinationEvent>), ConfigError> {
        config.check_reused()?;
        let (started, work) = config.into_start(facts);
        let rest = events(work)?;
        let event = CoordinationEvent::Started(Box::new(started));
        let size = event.encode().len();
        if size > MAX_PAYLOAD_BYTES {
            return Err(ConfigError::StartTooLarge { actual: size, max: MAX_PAYLOAD_BYTES });
        }
        let live = Self::begin(&StreamName::Coordination(id), &event, stamp)
            .expect("BUG: a checked configuration starts");
        Ok((live, rest))
    }
}
