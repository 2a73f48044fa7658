//! A signal on its way into the record, and the rules that it meets.

use super::data::{agent_in, tells_of_failure};
use super::dedup::Dedup;
use super::signal_type::SignalType;
use crate::coordination::error::SignalError;
use crate::coordination::event::Signalled;
use crate::coordination::limits::{
    MAX_ADDRESSEES, MAX_AGENT_NAME_BYTES, MAX_DATA_IN_EVENT_BYTES, MAX_DEDUP_KEY_BYTES,
    MAX_DEDUP_KEYS, MAX_DEDUP_WINDOW_NS, MAX_SIGNAL_DATA_BYTES,
};
use crate::envelope::Blob;
use crate::id::AgentId;
use crate::json_text::JsonText;

/// What somebody sends.
///
/// ```
/// use antiphon_core::coordination::Signal;
/// use antiphon_core::json_text::JsonText;
/// let signal = Signal::new("stage_completed".parse()?)
///     .to("tester".parse()?)
///     .with_data(JsonText::new(r#"{"artifacts": 3}"#)?)?;
/// assert_eq!(signal.kind().as_str(), "stage_completed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    kind: SignalType,
    from: Option<AgentId>,
    to: Vec<AgentId>,
    about: Option<AgentId>,
    failed: bool,
    data: Carried,
    dedup: Option<Dedup>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Carried {
    Nothing,
    InEvent(JsonText),
    Beside(Blob),
}

impl Signal {
    /// One to everybody, without data, by whoever sends it.
    #[must_use]
    pub fn new(kind: SignalType) -> Self {
        let (from, to, about, dedup) = (None, Vec::new(), None, None);
        Self { kind, from, to, about, failed: false, data: Carried::Nothing, dedup }
    }

    /// In the name of an agent. A session speaks in its own name alone.
    #[must_use]
    pub fn from(self, agent: AgentId) -> Self {
        Self { from: Some(agent), ..self }
    }

    /// To this agent, and to others that are named likewise.
    #[must_use]
    pub fn to(mut self, agent: AgentId) -> Self {
        self.to.push(agent);
        self
    }

    /// About another agent than its sender.
    #[must_use]
    pub fn about(self, agent: AgentId) -> Self {
        Self { about: Some(agent), ..self }
    }

    /// Whether it tells of a failure.
    #[must_use]
    pub fn failed(self, failed: bool) -> Self {
        Self { failed, ..self }
    }

    /// With data; a large value is kept in a blob beside the event. Where the data has an `agent_id`,
    /// the signal is about that agent, and where it says `success: false` or has an `error`, it tells
    /// of a failure, unless that is said otherwise.
    ///
    /// # Errors
    /// [`SignalError::DataTooLarge`] beyond 64 KiB.
    pub fn with_data(self, data: JsonText) -> Result<Self, SignalError> {
        let (actual, max) = (data.as_str().len(), MAX_SIGNAL_DATA_BYTES);
        if actual > max {
            return Err(SignalError::DataTooLarge { actual, max });
        }
        let about = self.about.clone().or_else(|| agent_in(&data));
        let failed = self.failed || tells_of_failure(&data);
        let data = match actual > MAX_DATA_IN_EVENT_BYTES {
            true => Carried::Beside(Blob::new(data.as_str().as_bytes().to_vec())),
            false => Carried::InEvent(data),
        };
        Ok(Self { about, failed, data, ..self })
    }

    /// What it carries, if it does.
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        match &self.data {
            Carried::Nothing => None,
            Carried::InEvent(data) => Some(data.as_str()),
            Carried::Beside(blob) => std::str::from_utf8(&blob.bytes).ok(),
        }
    }

    /// With other data in the place of what it carries; whom that told that the signal is about is
    /// forgotten with it.
    ///
    /// # Errors
    /// As [`Signal::with_data`].
    pub fn with_data_replaced(mut self, data: JsonText) -> Result<Self, SignalError> {
        let told = self.data().and_then(|old| agent_in(&JsonText::new(old).ok()?));
        self.about = self.about.filter(|about| Some(about) != told.as_ref());
        self.with_data(data)
    }

    /// Not recorded again where its sender has sent the same before.
    #[must_use]
    pub fn once(self, dedup: Dedup) -> Self {
        Self { dedup: Some(dedup), ..self }
    }

    /// What kind of message it is.
    #[must_use]
    pub fn kind(&self) -> &SignalType {
        &self.kind
    }

    /// In whose name it is sent, if that is said.
    #[must_use]
    pub fn sender(&self) -> Option<&AgentId> {
        self.from.as_ref()
    }

    /// What is recorded of it, by this sender unless it names one, and the blob that holds its data,
    /// if that is large.
    pub(crate) fn sent_by(self, sender: AgentId) -> Result<(Signalled, Option<Blob>), SignalError> {
        let Self { kind, from, to, about, failed, data, dedup } = self;
        let (data, blob) = match data {
            Carried::Nothing => (None, None),
            Carried::InEvent(data) => (Some(data), None),
            Carried::Beside(blob) => (None, Some(blob)),
        };
        let digest = blob.as_ref().map(|blob| blob.digest);
        let from = from.unwrap_or(sender);
        let sent = Signalled { kind, from, to, about, failed, data, digest, dedup };
        sent.check()?;
        Ok((sent, blob))
    }
}

impl Signalled {
    /// Whether it keeps within the limits of signals. One that is sent and one that is recorded both
    /// meet them here.
    pub(super) fn check(&self) -> Result<(), SignalError> {
        let Self { kind: _, from, to, about, failed: _, data, digest, dedup } = self;
        check_name("the sender's name", from)?;
        if to.len() > MAX_ADDRESSEES {
            return Err(SignalError::TooManyAddressees { actual: to.len(), max: MAX_ADDRESSEES });
        }
        to.iter().try_for_each(|agent| check_name("an addressee's name", agent))?;
        about.iter().try_for_each(|agent| check_name("the name of whom it is about", agent))?;
        let in_event = data.as_ref().map_or(0, |data| data.as_str().len());
        if in_event > MAX_DATA_IN_EVENT_BYTES || (data.is_some() && digest.is_some()) {
            let (actual, max) = (in_event, MAX_DATA_IN_EVENT_BYTES);
            return Err(SignalError::DataTooLarge { actual, max });
        }
        dedup.iter().try_for_each(check_dedup)
    }
}

fn check_name(whose: &'static str, name: &AgentId) -> Result<(), SignalError> {
    let (actual, max) = (name.as_str().len(), MAX_AGENT_NAME_BYTES);
    if actual > max {
        return Err(SignalError::NameTooLong { whose, name: name.clone(), actual, max });
    }
    Ok(())
}

fn check_dedup(dedup: &Dedup) -> Result<(), SignalError> {
    let Dedup { key, window, cap } = dedup;
    let within = |field, actual: u64, max: u64| match (1..=max).contains(&actual) {
        true => Ok(()),
        false => Err(SignalError::Dedup { field, actual, max }),
    };
    within("dedup key's length in bytes", key.len() as u64, MAX_DEDUP_KEY_BYTES as u64)?;
    within("dedup window in nanoseconds", *window, MAX_DEDUP_WINDOW_NS)?;
    within("dedup cap", (*cap).into(), MAX_DEDUP_KEYS as u64)
}
