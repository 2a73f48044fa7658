//! Following the signals of a run.

use antiphon_core::id::{CoordinationId, Version};
use antiphon_core::json_text::JsonText;

use super::filter::SignalFilter;
use super::heard::HeardSignal;
use super::speakers::Speakers;
use super::told::{Told, told};
use crate::mailbox::{Handle, QueryError, Unavailable};
use crate::stats::Metric;
use crate::subscription::Subscription;

/// Where somebody begins to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// At the beginning of the run, so that nothing is missed.
    #[default]
    Beginning,
    /// With what comes next.
    Now,
    /// After a version of the run's stream.
    After(Version),
}

/// The signals of a run that somebody wants, each once and in order. Whoever lets go of it has left:
/// nothing stays behind.
#[derive(Debug)]
pub struct Signals {
    events: Subscription,
    filter: SignalFilter,
    speakers: Speakers,
    handle: Handle,
    /// One whose data is being read, so that it is not lost where waiting for it is given up.
    reading: Option<Told>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.signal.fmt(f)
    }
}

impl Signals {
    pub(super) async fn open(
        handle: &Handle,
        run: &CoordinationId,
        filter: SignalFilter,
        from: From,
    ) -> Result<Self, QueryError> {
        let after = match from {
            From::Beginning => Version(0),
            From::After(version) => version,
            From::Now => handle.status(run).await?.version,
        };
        let events = handle.follow(run, after).await?;
        let speakers = match after {
            // They are met on the way.
            Version(0) => Speakers::default(),
            _ => Speakers::of(handle, run).await?,
        };
        Ok(Self { events, filter, speakers, handle: handle.clone(), reading: None })
    }

    /// The next one; waits for it, and may be given up and asked again without missing one. `None`
    /// once the run has ended, or the engine has stopped.
    ///
    /// # Errors
    /// [`Unavailable`] if the ledger cannot be read.
    pub async fn next(&mut self) -> Result<Option<HeardSignal>, Unavailable> {
        loop {
            while self.reading.is_none() {
                let Some(event) = self.events.next().await? else { return Ok(None) };
                self.reading = told(&event, &mut self.speakers)
                    .filter(|told| self.filter.may_match(&told.signal));
            }
            if let Some(digest) = self.reading.as_ref().and_then(|told| told.data) {
                let data = read_data(self.handle.blob(digest).await?);
                if let Some(told) = &mut self.reading {
                    (told.signal.data, told.data) = (data, None);
                }
            }
            if let Some(told) = self.reading.take()
                && self.filter.matches_data(&told.signal)
            {
                self.handle.stats().record(Metric::SignalsReceived, 1);
                return Ok(Some(told.signal));
            }
        }
    }

    /// The version up to which everything that is wanted was given.
    #[must_use]
    pub fn position(&self) -> Version {
        match &self.reading {
            Some(told) => Version(told.signal.version.0.saturating_sub(1)),
            None => self.events.position(),
        }
    }
}

/// The data in a blob, unless it was erased.
pub(super) fn read_data(blob: Option<Vec<u8>>) -> Option<JsonText> {
    JsonText::new(String::from_utf8(blob?).ok()?).ok()
}
