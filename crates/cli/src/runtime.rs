//! The runtime on which commands talk to an engine.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::interval;

use crate::command_error::CommandError;

/// How long a thread that has nothing to do stays. Under a limit of processes it takes the place of
/// a session.
const IDLE_THREADS_STAY: Duration = Duration::from_secs(1);

/// Time between two tries to have a thread for what waits for one.
const LOOK_FOR_THREADS: Duration = Duration::from_secs(1);

/// Runs a command that talks to an engine.
pub(crate) fn on_a_runtime<T>(
    command: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(IDLE_THREADS_STAY)
        .build()
        .map_err(|error| CommandError::internal(format!("cannot start the runtime: {error}")))?;
    // Dropped before the runtime, which waits for its threads.
    let _first = hold_a_thread(&runtime);
    runtime.block_on(command)
}

/// Holds a thread for as long as what is returned is there. The runtime panics where it can have no
/// thread for what blocks and has none; where it has one, it has the work wait for it or for the
/// next that it can have. That is asked for time and again, as the one that is held does no work.
fn hold_a_thread(runtime: &Runtime) -> Sender<()> {
    let (held, gone) = channel::<()>();
    runtime.spawn_blocking(move || gone.recv());
    runtime.spawn(async {
        let mut looks = interval(LOOK_FOR_THREADS);
        loop {
            looks.tick().await;
            drop(spawn_blocking(|| {}));
        }
    });
    held
}
