//! A stream that is being written: the only place where events are put into envelopes, chained,
//! hashed and queued for the next append.

use std::fmt::Debug;

use crate::digest::Digest;
use crate::envelope::{Blob, MAX_PAYLOAD_BYTES, Meta, Payload, Recorded, StreamTip};
use crate::id::{Actor, CommandId, StreamName, Version};
use crate::schema::{AggregateEvent, Unreadable};
use crate::time::{ClockRegression, LedgerTime, Now};

/// What the events of one stream are folded into. Live and in replay, state changes only here.
pub trait Aggregate: Sized + Debug {
    /// What can happen to it.
    type Event: AggregateEvent;
    /// Why an event cannot follow; nothing has changed then.
    type Error: std::error::Error + From<Unreadable>;

    /// Begins it from the first event of its stream.
    ///
    /// # Errors
    /// The event is no first one, or says what cannot be.
    fn begin(stream: &StreamName, event: &Self::Event, meta: &Meta) -> Result<Self, Self::Error>;

    /// Checks the next event completely, then applies it.
    ///
    /// # Errors
    /// The event cannot follow.
    fn apply(&mut self, event: &Self::Event, meta: &Meta) -> Result<(), Self::Error>;

    /// The stream that it is the state of.
    fn stream(&self) -> StreamName;

    /// Version of its last event.
    fn version(&self) -> Version;

    /// Ledger time of its last event.
    fn last_at(&self) -> LedgerTime;

    /// Whether nothing can follow.
    fn has_ended(&self) -> bool;

    /// Blobs that the last event made, which go into the same append.
    fn new_blobs(&self) -> &[Blob] {
        &[]
    }
}

/// Why an event could not be recorded. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum EmitError {
    #[error(transparent)]
    ClockRegression(#[from] ClockRegression),
    /// The stream has ended.
    #[error("{stream} has ended; nothing can be added to its record")]
    Ended { stream: StreamName },
}

/// Who caused an event, when, and by which command.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Stamp<'a> {
    pub now: &'a Now,
    pub actor: &'a Actor,
    /// The command's id, if it has one.
    pub cause: Option<&'a CommandId>,
}

/// The state of a stream, the end of its chain, and what is to be appended.
#[derive(Debug, Clone)]
pub struct Live<A> {
    state: A,
    tip: StreamTip,
    events: Vec<Recorded>,
    blobs: Vec<Blob>,
}

impl<A: Aggregate> Live<A> {
    /// Begins a stream with its first event.
    ///
    /// # Errors
    /// The event is no first one, or says what cannot be.
    pub(crate) fn begin(
        stream: &StreamName,
        event: &A::Event,
        stamp: Stamp<'_>,
    ) -> Result<Self, A::Error> {
        let tip = StreamTip::default();
        let state = A::begin(stream, event, &stamp.meta(tip))?;
        let mut live = Self { state, tip, events: Vec::new(), blobs: Vec::new() };
        live.enter(event, stamp);
        Ok(live)
    }

    /// Continues what replay or a snapshot gave. Of the tip only the hash is taken: the version is
    /// that of the state.
    pub fn restore(state: A, tip: StreamTip) -> Self {
        let tip = StreamTip { version: state.version(), ..tip };
        Self { state, tip, events: Vec::new(), blobs: Vec::new() }
    }

    /// Applies a decided event and puts it into the outbox.
    ///
    /// # Errors
    /// An [`EmitError`]; nothing has changed then.
    ///
    /// # Panics
    /// If the event was decided wrongly: what is decided can be applied.
    pub(crate) fn emit(
        &mut self,
        event: &A::Event,
        stamp: Stamp<'_>,
    ) -> Result<&Recorded, EmitError> {
        if self.state.has_ended() {
            return Err(EmitError::Ended { stream: self.state.stream() });
        }
        self.refuse_regression(stamp.now)?;
        if let Err(error) = self.state.apply(event, &stamp.meta(self.tip)) {
            panic!("BUG: a decided event cannot be applied: {error}");
        }
        self.blobs.extend_from_slice(self.state.new_blobs());
        Ok(self.enter(event, stamp))
    }

    /// Refuses a moment before the last event.
    ///
    /// # Errors
    /// [`EmitError::ClockRegression`].
    pub fn refuse_regression(&self, now: &Now) -> Result<(), EmitError> {
        Ok(now.at.not_before(self.state.last_at())?)
    }

    /// Puts an event that was applied into its envelope and links it to its stream.
    fn enter(&mut self, event: &A::Event, stamp: Stamp<'_>) -> &Recorded {
        let (kind, payload) = (event.kind(), event.encode());
        assert!(payload.len() <= MAX_PAYLOAD_BYTES, "BUG: {kind} takes {} bytes", payload.len());
        let mut recorded = Recorded {
            stream: self.state.stream(),
            version: self.tip.version.next(),
            kind: kind.into(),
            schema: event.schema(),
            at: stamp.now.at,
            wall: stamp.now.wall,
            actor: stamp.actor.clone(),
            cause: stamp.cause.cloned(),
            payload: Payload::Bytes(payload),
            prev: self.tip.hash,
            hash: Digest::GENESIS,
        };
        recorded.hash = recorded.computed_hash();
        self.tip = StreamTip { version: recorded.version, hash: recorded.hash };
        self.events.push(recorded);
        &self.events[self.events.len() - 1]
    }

    /// The state, as its events left it.
    pub fn state(&self) -> &A {
        &self.state
    }

    /// The state, of what nothing follows in any more.
    pub(crate) fn into_state(self) -> A {
        self.state
    }

    /// The state, for what is derived from the record and never recorded, such as what is due.
    pub(crate) fn derived(&mut self) -> &mut A {
        &mut self.state
    }

    /// The end of the stream's chain.
    pub fn tip(&self) -> StreamTip {
        self.tip
    }

    /// Adds a blob that the next event names.
    pub fn attach(&mut self, blob: Blob) {
        self.blobs.push(blob);
    }

    /// The events since the last call, in order.
    #[must_use = "what is not appended is lost"]
    pub fn take_events(&mut self) -> Vec<Recorded> {
        std::mem::take(&mut self.events)
    }

    /// The blobs that follow from the events.
    #[must_use = "blobs go into the same append as the events that name them"]
    pub fn take_blobs(&mut self) -> Vec<Blob> {
        std::mem::take(&mut self.blobs)
    }

    /// The events that were not taken yet, in order.
    #[must_use]
    pub fn outbox(&self) -> &[Recorded] {
        &self.events
    }
}

impl<'a> Stamp<'a> {
    /// What the engine does on its own, now.
    #[must_use]
    pub fn by_engine(now: &'a Now) -> Self {
        Self { now, actor: Actor::engine(), cause: None }
    }

    fn meta(&self, tip: StreamTip) -> Meta {
        Meta {
            version: tip.version.next(),
            at: self.now.at,
            wall: self.now.wall,
            cause: self.cause.cloned(),
        }
    }
}
