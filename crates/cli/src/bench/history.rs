//! Ledgers with a past: many coordinations that have ended, and some that a crash has cut off.

use std::path::Path;

use antiphon::{Engine, Output, SessionContext};
use tokio::sync::mpsc;

use super::scratch::runtime;
use super::session::{config, events_in, items};
use crate::command_error::CommandError;

/// Items of each coordination; with two events each and those of the start and the end, about 2,000
/// events.
const ITEMS: usize = 1_000;

/// Runs at the same time while the history is made.
const WIDTH: usize = 64;

/// Makes a ledger of ended coordinations and of live ones, whose last session still runs when the
/// engine is dropped. Returns how many events it has.
pub(super) fn make(dir: &Path, ended: usize, live: usize) -> Result<u64, CommandError> {
    runtime()?.block_on(async {
        let mut setup = Engine::builder(dir).map_err(CommandError::internal)?;
        setup
            .register("nothing", |_: SessionContext| std::future::ready(Ok(Output::none())))
            .map_err(CommandError::internal)?;
        let (hanging, mut hung) = mpsc::unbounded_channel();
        setup
            .register("hang", move |session: SessionContext| {
                let hanging = hanging.clone();
                async move {
                    // The receiver lives until all have come this far.
                    let _ = hanging.send(());
                    session.stop_requested().await;
                    Ok(Output::none())
                }
            })
            .map_err(CommandError::internal)?;
        let engine = setup.start().await.map_err(CommandError::internal)?;
        let workers: Vec<_> = (0..WIDTH.min(ended))
            .map(|worker| {
                let engine = engine.clone();
                tokio::spawn(async move {
                    for _ in (worker..ended).step_by(WIDTH) {
                        let run = engine
                            .submit(config(items(ITEMS)?)?)
                            .await
                            .map_err(CommandError::internal)?;
                        run.wait().await.map_err(CommandError::internal)?;
                    }
                    Ok::<_, CommandError>(())
                })
            })
            .collect();
        for worker in workers {
            worker.await.map_err(CommandError::internal)??;
        }
        for _ in 0..live {
            let mut work = items(ITEMS)?;
            let last = work
                .pop()
                .map(|item| antiphon::coordination::WorkSpec::function(item.id.as_str(), "hang"));
            work.extend(
                last.transpose()
                    .map_err(CommandError::internal)?
                    .map(|last| last.with_priority(-1)),
            );
            engine.submit(config(work)?).await.map_err(CommandError::internal)?;
        }
        for _ in 0..live {
            hung.recv().await;
        }
        Ok::<_, CommandError>(())
    })?;
    events_in(dir)
}
