//! What all requests share: the engine, the limits, and the places for what is expensive.
//!
//! Nothing here outlives the server, and nothing of a request is kept here.

use antiphon::id::CoordinationId;
use antiphon::{Engine, Run};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::api::{Code, Problem};
use crate::compilers::Compilers;
use crate::limits::ClientLimits;

/// Receipts that are read with their evidence at the same time: evidence is as large as its run.
const EXPORTING: usize = 2;

/// How many rejected callers at the same time get their answer in full; others are cut off.
const LINGERING: usize = 32;

/// What every request may need.
pub(crate) struct Shared {
    engine: Engine,
    limits: ClientLimits,
    compilers: Compilers,
    exporting: Semaphore,
    lingering: Semaphore,
    stopping: CancellationToken,
}

impl Shared {
    pub(crate) fn new(engine: Engine, limits: ClientLimits, stopping: CancellationToken) -> Self {
        Self {
            engine,
            limits,
            compilers: Compilers::new(),
            exporting: Semaphore::new(EXPORTING),
            lingering: Semaphore::new(LINGERING),
            stopping,
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A run of the engine.
    pub(crate) fn run(&self, id: &CoordinationId) -> Result<Run, Problem> {
        Ok(self.engine.run(id)?)
    }

    pub(crate) fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Cancelled when the server is to stop; streams end then.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Where plans are compiled.
    pub(crate) fn compilers(&self) -> &Compilers {
        &self.compilers
    }

    /// Waits for a place to read a receipt with its evidence.
    pub(crate) async fn place_to_export(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let stopping = |_| Problem::new(Code::Stopping, "the engine is stopping");
        self.exporting.acquire().await.map_err(stopping)
    }

    /// A place for a caller that is turned away, if one is free.
    pub(crate) fn place_to_linger(&self) -> Option<SemaphorePermit<'_>> {
        self.lingering.try_acquire().ok()
    }
}
