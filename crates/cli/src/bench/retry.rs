//! A retry of two thousand cells of which few run again: what is recorded is read, and it is decided
//! what runs. Nothing of it is carried out.

use std::path::Path;
use std::time::Instant;

use antiphon::plan::{Environment, parse};
use antiphon::retry::RetryRequest;
use antiphon::{Run, Submission};

use super::process::engine;
use super::report::Measured;
use super::scratch::{fresh, runtime};
use crate::command_error::CommandError;

/// Cells that succeeded, and those that failed.
const CELLS: (u64, u64) = (1_941, 59);

const ROUNDS: usize = 11;

pub(super) fn run(dir: &Path) -> Result<Vec<Measured>, CommandError> {
    let dir = fresh(dir)?;
    runtime()?.block_on(async {
        let engine = engine(dir.path()).await?;
        let (succeed, fail) = CELLS;
        let numbers: Vec<String> = (0..succeed + fail).map(|cell| cell.to_string()).collect();
        let text = format!(
            "name: bench\nbudget: {{ sessions: {}, duration: 1h }}\nconcurrency: 64\nbreaker: off\n\
             retry: {{ attempts: 1 }}\nwork:\n  cell:\n    shell: 'test $X -ge {fail}'\n    \
             matrix: {{ x: [{}] }}\n    env: {{ X: '{{{{x}}}}' }}\n",
            2 * (succeed + fail),
            numbers.join(", ")
        );
        let compiled = parse(&text, &dir.path().join("plan.yaml"))
            .and_then(|plan| plan.compile(&Environment::of_process()))
            .map_err(CommandError::internal)?;
        let submission = Submission::new(compiled.config).with_inputs(compiled.blobs);
        let run = engine.submit(submission).await.map_err(CommandError::internal)?;
        run.wait().await.map_err(CommandError::internal)?;
        let (mut times, mut rates) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let before = Instant::now();
            decide(&run).await?;
            let taken = before.elapsed();
            times.push(taken);
            rates.push((succeed + fail) as f64 / taken.as_secs_f64());
        }
        engine.close().await.map_err(CommandError::internal)?;
        Ok(vec![Measured::timed("retry.2000", "ms", &mut times, &mut rates)])
    })
}

async fn decide(run: &Run) -> Result<(), CommandError> {
    let retried = run.retried().await.map_err(CommandError::internal)?;
    let retried = retried.ok_or_else(|| CommandError::internal("the run has not ended"))?;
    let prepared = retried.prepare(&RetryRequest::default()).map_err(CommandError::internal)?;
    match (prepared.reused, prepared.runs.len() as u64) {
        CELLS => Ok(()),
        other => Err(CommandError::internal(format!("{other:?} are reused and run"))),
    }
}
