//! The signals of a run as a command hears them.

use antiphon::id::{CoordinationId, Version};
use antiphon::ledger::{ReadError, Store};
use antiphon::signals::{RecordedSignals, SignalFilter};
use antiphon::time::WallTime;
use antiphon_server::{Client, FollowAfter, NeedRequest, SignalLine, SignalQuery, SignalStream};

use crate::command_error::{CommandError, Kind};
use crate::describe::heard;
use crate::heard::Wanted;
use crate::stdout::Stdout;
use crate::timestamps;

/// The signals that are wanted of a run.
pub(super) struct WantedSignals {
    query: SignalQuery,
    filter: SignalFilter,
}

impl WantedSignals {
    pub(super) fn new(query: SignalQuery) -> Result<Self, CommandError> {
        let filter = query
            .filter()
            .map_err(|problem| CommandError::new(Kind::Usage, problem.detail.as_str()))?;
        Ok(Self { query, filter })
    }

    /// The same as something that is waited for, if it can be put so.
    pub(super) fn need(&self) -> Option<NeedRequest> {
        let SignalQuery { types, from, to, about, failed, data } = &self.query;
        let [kind] = types.as_slice() else { return None };
        let is_plain = !kind.ends_with('*') && !kind.contains(',') && data.is_empty();
        let both = from.is_some() && about.is_some();
        if !is_plain || both || to.is_some() || *failed == Some(true) {
            return None;
        }
        let (signal, success) = (Some(kind.clone()), Some(*failed == Some(false)));
        let (from, about) = (from.clone(), about.clone());
        Some(NeedRequest { signal, from, about, success, ..NeedRequest::default() })
    }

    /// Which ones these are, for whoever reads the record.
    pub(super) fn filter(&self) -> &SignalFilter {
        &self.filter
    }
}

impl Wanted for WantedSignals {
    type Line = SignalLine;

    fn stream(&self, client: &Client, run: &CoordinationId, after: FollowAfter) -> SignalStream {
        client.signals(run, &self.query, after)
    }

    fn recorded(
        &self,
        store: &dyn Store,
        run: &CoordinationId,
        after: Version,
    ) -> Result<Vec<SignalLine>, ReadError> {
        let signals = RecordedSignals::of(store, run)?;
        let lines = signals.after(&self.filter, after);
        lines.map(|signal| signal.map(|signal| SignalLine::from(&signal))).collect()
    }
}

/// Prints one: an object on a line, or a line for people.
pub(super) fn print(
    output: &mut Stdout,
    json: bool,
    signal: &SignalLine,
) -> Result<(), CommandError> {
    match json {
        true => output.json(signal),
        false => {
            let time = timestamps::seconds(WallTime(signal.wall));
            output.line(format!("{time}  {}", heard(signal)))
        }
    }
}
