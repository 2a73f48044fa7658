//! Where submitted plans are read and compiled: on a bounded number of threads, of which some are
//! kept for plans that take little.
//!
//! How much a plan takes is known only once it is done, since it may name hundreds of files. So one
//! that is small gets a moment on a thread for small ones, and if it is not done by then, begins
//! again in the line of the large ones. What nobody waits for any more ends.

use std::sync::Arc;
use std::time::Duration;

use antiphon::plan::Wanted;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::{Code, Problem};

/// Small plans that are compiled at the same time; others wait their turn.
const SMALL: usize = 2;

/// Large plans that are compiled at the same time; others wait their turn.
const LARGE: usize = 2;

/// What a small plan may take with the plans that it names, in bytes.
const SMALL_BYTES: usize = 64 * 1024;

/// What a small plan may take on its threads.
const MOMENT: Duration = Duration::from_millis(200);

/// The threads, by the places on them.
pub(crate) struct Compilers {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Compilers {
    pub(crate) fn new() -> Self {
        Self { small: Arc::new(Semaphore::new(SMALL)), large: Arc::new(Semaphore::new(LARGE)) }
    }

    /// Compiles a plan whose text has so many bytes. It is given up if the future is dropped, as it
    /// is when its client hangs up.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        compile: impl Fn(&Wanted) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        let compile = Arc::new(compile);
        let request = Request(Wanted::default());
        if bytes <= SMALL_BYTES {
            let place = place(&self.small).await?;
            let moment = request.0.for_at_most(MOMENT, SMALL_BYTES);
            match on_thread(place, Arc::clone(&compile), moment.clone()).await {
                Err(_) if moment.is_over() => {}
                done => return done,
            }
        }
        let place = place(&self.large).await?;
        on_thread(place, compile, request.0.clone()).await
    }
}

/// Somebody waits, until this is dropped.
struct Request(Wanted);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    let stopping = |_| Problem::new(Code::Stopping, "the engine is stopping");
    Arc::clone(places).acquire_owned().await.map_err(stopping)
}

/// The place is taken until the thread is done, whether or not anybody waits for it.
async fn on_thread<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    compile: Arc<impl Fn(&Wanted) -> Result<T, Problem> + Send + Sync + 'static>,
    wanted: Wanted,
) -> Result<T, Problem> {
    let compiled = tokio::task::spawn_blocking(move || {
        let _place = place;
        compile(&wanted)
    });
    compiled.await.unwrap_or_else(|_| {
        let detail = "compiling the plan met an internal error; please report it";
        Err(Problem::new(Code::Internal, detail))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A plan that takes as long as somebody waits for it.
    fn endless(started: Sender<()>, ended: Sender<()>) -> impl Fn(&Wanted) -> Result<(), Problem> {
        move |wanted| {
            started.send(()).unwrap();
            while !wanted.is_over() {
                std::thread::yield_now();
            }
            ended.send(()).unwrap();
            Err(Problem::new(Code::Refused, "it was given up"))
        }
    }

    #[tokio::test]
    async fn a_plan_that_nobody_waits_for_is_given_up_and_a_small_one_does_not_wait_for_large_ones()
    {
        let compilers = Arc::new(Compilers::new());
        let ((started, begun), (ended, over)) = (channel(), channel());
        let large: Vec<_> = (0..LARGE + 2)
            .map(|_| {
                let (compilers, plan) =
                    (Arc::clone(&compilers), endless(started.clone(), ended.clone()));
                tokio::spawn(async move { compilers.run(SMALL_BYTES + 1, plan).await })
            })
            .collect();
        let begun = tokio::task::spawn_blocking(move || {
            (0..LARGE).for_each(|_| begun.recv().unwrap());
            begun
        });
        let begun = begun.await.unwrap();
        assert_eq!(compilers.run(SMALL_BYTES, |_| Ok("done")).await.unwrap(), "done");
        assert!(over.try_recv().is_err(), "the large ones go on");
        large.iter().for_each(tokio::task::JoinHandle::abort);
        for large in large {
            assert!(large.await.unwrap_err().is_cancelled());
        }
        tokio::task::spawn_blocking(move || (0..LARGE).for_each(|_| over.recv().unwrap()))
            .await
            .unwrap();
        // Those that waited for a place never began.
        assert!(begun.try_recv().is_err());
        assert_eq!(compilers.run(SMALL_BYTES + 1, |_| Ok("done")).await.unwrap(), "done");
    }

    #[tokio::test]
    async fn a_small_plan_that_takes_long_begins_again_as_a_large_one() {
        let compilers = Compilers::new();
        let (small, large) = (Arc::clone(&compilers.small), Arc::clone(&compilers.large));
        let (started, begun) = channel();
        let tries = AtomicUsize::new(0);
        let plan = move |wanted: &Wanted| {
            started.send((small.available_permits(), large.available_permits())).unwrap();
            if tries.fetch_add(1, Ordering::Relaxed) > 0 {
                return Ok("done");
            }
            while !wanted.is_over() {
                std::thread::yield_now();
            }
            Err(Problem::new(Code::Refused, "it took too long"))
        };
        assert_eq!(compilers.run(0, plan).await.unwrap(), "done");
        assert_eq!(begun.into_iter().collect::<Vec<_>>(), [(SMALL - 1, LARGE), (SMALL, LARGE - 1)]);
    }
}
