//! Recorded events become state here and nowhere else.

use crate::envelope::{Meta, Recorded, StreamTip};
use crate::id::StreamName;
use crate::live::Aggregate;
use crate::schema::AggregateEvent as _;

/// One stream as far as it was replayed.
///
/// It checks what an event says against the state that it meets. Whether envelopes and chains are
/// sound is for the caller to check, with [`Recorded::is_sound`] and [`Replay::tip`].
#[derive(Debug, Clone)]
pub struct Replay<A> {
    stream: StreamName,
    state: Option<A>,
    tip: StreamTip,
}

impl<A: Aggregate> Replay<A> {
    /// Before the first event of a stream.
    #[must_use]
    pub fn of(stream: StreamName) -> Self {
        Self { stream, state: None, tip: StreamTip::default() }
    }

    /// Behind what a snapshot holds. Of the tip only the hash is taken: the version is that of the
    /// state.
    #[must_use]
    pub fn behind(state: A, tip: StreamTip) -> Self {
        let tip = StreamTip { version: state.version(), ..tip };
        Self { stream: state.stream(), state: Some(state), tip }
    }

    /// Reads and applies the next event, and returns what it says.
    ///
    /// # Errors
    /// It cannot be read, or cannot follow; nothing has changed then.
    pub fn take(&mut self, recorded: &Recorded) -> Result<A::Event, A::Error> {
        let event = A::Event::of(recorded)?;
        self.apply(recorded, &event)?;
        Ok(event)
    }

    /// The same for a caller that has read the event to look at the state before it.
    ///
    /// # Errors
    /// It cannot follow; nothing has changed then.
    pub fn apply(&mut self, recorded: &Recorded, event: &A::Event) -> Result<(), A::Error> {
        let meta = Meta::of(recorded);
        match &mut self.state {
            Some(state) => state.apply(event, &meta)?,
            None => self.state = Some(A::begin(&self.stream, event, &meta)?),
        }
        self.tip = StreamTip { version: recorded.version, hash: recorded.hash };
        Ok(())
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The state, once there was a first event.
    #[must_use]
    pub fn state(&self) -> Option<&A> {
        self.state.as_ref()
    }

    /// The end of what was replayed.
    #[must_use]
    pub fn tip(&self) -> StreamTip {
        self.tip
    }

    /// The state and where its chain ends; `None` if there was no event.
    #[must_use]
    pub fn into_state(self) -> Option<(A, StreamTip)> {
        let tip = self.tip;
        self.state.map(|state| (state, tip))
    }
}
