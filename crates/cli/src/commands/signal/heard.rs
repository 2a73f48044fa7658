//! The signals of a run as a command hears them: from the record of one that has ended, else from the
//! engine that runs, or one that is started for it.

use antiphon::id::{CoordinationId, Version};
use antiphon::signals::{RecordedSignals, SignalFilter};
use antiphon::time::WallTime;
use antiphon_server::{FollowAfter, SignalLine, SignalQuery, SignalStream};

use crate::command_error::CommandError;
use crate::connection::{has_gone, serving};
use crate::describe::heard;
use crate::ledger::Ledger;
use crate::stdout::Stdout;
use crate::timestamps;

/// The signals that are wanted of a run, each once and in order, until it has ended.
pub(super) struct Heard<'a> {
    ledger: &'a Ledger,
    run: CoordinationId,
    query: SignalQuery,
    filter: SignalFilter,
    after: FollowAfter,
    source: Source,
}

enum Source {
    Unopened,
    Engine(Box<SignalStream>),
    /// What is left of the record, the last one first.
    Record(Vec<SignalLine>),
}

impl<'a> Heard<'a> {
    pub(super) fn new(
        ledger: &'a Ledger,
        run: CoordinationId,
        (query, filter): (SignalQuery, SignalFilter),
        after: FollowAfter,
    ) -> Self {
        Self { ledger, run, query, filter, after, source: Source::Unopened }
    }

    /// The next one; waits for it. `None` once the run has ended.
    pub(super) async fn next(&mut self) -> Result<Option<SignalLine>, CommandError> {
        loop {
            let heard = match &mut self.source {
                Source::Unopened => {
                    self.open().await?;
                    continue;
                }
                Source::Record(left) => left.pop(),
                Source::Engine(stream) => match stream.next().await {
                    Ok(heard) => heard,
                    // Another may take its place, or the run has ended with it.
                    Err(error) if has_gone(&error) => {
                        if let (Some(seen), _) | (None, FollowAfter::Version(seen)) =
                            (stream.position(), self.after)
                        {
                            self.after = FollowAfter::Version(seen);
                        }
                        self.source = Source::Unopened;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
            };
            return Ok(heard);
        }
    }

    async fn open(&mut self) -> Result<(), CommandError> {
        self.source = match self.ledger.outcome(&self.run)? {
            Some(_) => Source::Record(self.recorded()?),
            None => {
                let client = serving(&self.ledger.dir).await?;
                Source::Engine(Box::new(client.signals(&self.run, &self.query, self.after)))
            }
        };
        Ok(())
    }

    fn recorded(&self) -> Result<Vec<SignalLine>, CommandError> {
        let after = match self.after {
            FollowAfter::Beginning => Version(0),
            FollowAfter::Version(version) => Version(version),
            FollowAfter::Now => return Ok(Vec::new()),
        };
        let recorded = RecordedSignals::of(self.ledger.store.as_ref(), &self.run)?;
        let mut lines = recorded
            .after(&self.filter, after)
            .map(|signal| signal.map(|signal| SignalLine::from(&signal)))
            .collect::<Result<Vec<_>, _>>()?;
        lines.reverse();
        Ok(lines)
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
