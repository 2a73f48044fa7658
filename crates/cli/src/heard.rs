//! What a command hears of a run: from the record of one that has ended, else from the engine that
//! runs, or one that is started for it.

use std::process::ExitCode;

use antiphon::id::{CoordinationId, Version};
use antiphon::ledger::{ReadError, Store};
use antiphon_server::{Client, FollowAfter, LineStream};
use serde::de::DeserializeOwned;

use crate::command_error::{CommandError, Kind};
use crate::connection::{Interrupts, has_gone, serving};
use crate::ledger::Ledger;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

/// What is wanted of a run.
pub(crate) trait Wanted {
    type Line: DeserializeOwned;

    /// What an engine sends of it.
    fn stream(
        &self,
        client: &Client,
        run: &CoordinationId,
        after: FollowAfter,
    ) -> LineStream<Self::Line>;

    /// What is recorded of it.
    fn recorded(
        &self,
        store: &dyn Store,
        run: &CoordinationId,
        after: Version,
    ) -> Result<Vec<Self::Line>, ReadError>;
}

/// What is wanted of a run, each once and in order, until it has ended.
pub(crate) struct Heard<'a, W: Wanted> {
    ledger: &'a Ledger,
    run: CoordinationId,
    wanted: W,
    after: FollowAfter,
    source: Source<W::Line>,
}

enum Source<T> {
    Unopened,
    Engine(Box<LineStream<T>>),
    /// What is left of the record, the last one first.
    Record(Vec<T>),
}

impl<'a, W: Wanted> Heard<'a, W> {
    pub(crate) fn new(
        ledger: &'a Ledger,
        run: CoordinationId,
        wanted: W,
        after: FollowAfter,
    ) -> Self {
        Self { ledger, run, wanted, after, source: Source::Unopened }
    }

    /// The next one; waits for it. `None` once the run has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<W::Line>, CommandError> {
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

    /// Prints each as it comes, until the run has ended or somebody interrupts.
    pub(crate) fn print_all(
        mut self,
        print: impl Fn(&mut Stdout, &W::Line) -> Result<(), CommandError>,
    ) -> Result<ExitCode, CommandError> {
        on_a_runtime(async {
            let mut interrupts = Interrupts::catch()?;
            let mut output = Stdout::open();
            while output.is_open() {
                let line = tokio::select! {
                    line = self.next() => line?,
                    _ = interrupts.next() => {
                        output.finish()?;
                        return Ok(Kind::Aborted.into());
                    }
                };
                let Some(line) = line else { break };
                print(&mut output, &line)?;
                output.flush()?;
            }
            output.finish()?;
            Ok(ExitCode::SUCCESS)
        })
    }

    async fn open(&mut self) -> Result<(), CommandError> {
        // What all share never ends.
        let ended = !self.run.is_shared() && self.ledger.outcome(&self.run)?.is_some();
        self.source = match ended {
            true => Source::Record(self.recorded()?),
            false => {
                let client = serving(&self.ledger.dir).await?;
                Source::Engine(Box::new(self.wanted.stream(&client, &self.run, self.after)))
            }
        };
        Ok(())
    }

    fn recorded(&self) -> Result<Vec<W::Line>, CommandError> {
        let after = match self.after {
            FollowAfter::Beginning => Version(0),
            FollowAfter::Version(version) => Version(version),
            FollowAfter::Now => return Ok(Vec::new()),
        };
        let mut lines = self.wanted.recorded(self.ledger.store.as_ref(), &self.run, after)?;
        lines.reverse();
        Ok(lines)
    }
}
