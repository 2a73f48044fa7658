//! The sessions that run now: started, asked to stop, abandoned after the grace if they are
//! functions.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use antiphon_core::coordination::{SessionEnd, SessionOutcome, StopCause};
use antiphon_core::envelope::Blob;
use antiphon_core::id::{Fence, SessionId};
use antiphon_core::world::Spawn;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Failed, RunnerFn, SessionContext, SessionResult};
use crate::mailbox::Handle;

/// A session's end on its way to the decider.
#[derive(Debug, Clone)]
pub(crate) struct ReportedEnd {
    pub(crate) session: SessionId,
    pub(crate) fence: Fence,
    pub(crate) end: SessionEnd,
    /// Why it had been asked to stop, if it was.
    pub(crate) asked: Option<StopCause>,
    pub(crate) blobs: Vec<Blob>,
}

#[derive(Debug)]
struct Task {
    fence: Fence,
    stop: CancellationToken,
    abort: AbortHandle,
    /// Cancelled once the function is gone, by its own end or dropped.
    gone: CancellationToken,
    patience: Patience,
    /// Why it was asked to stop; the first cause stays.
    asked: Arc<OnceLock<StopCause>>,
    /// Whether the engine is being closed under it.
    cut_off: bool,
}

/// What is recorded of a session that the end of the engine cut off.
pub(crate) const CLOSED: &str = "the engine was closed while the session ran";

/// How long a session that was asked to stop is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as the engine's grace; then it is abandoned behind its fence.
    Grace,
    /// Until it is gone: it has a grace of its own, and ends what does not end.
    UntilGone,
}

/// The sessions that run now.
#[derive(Debug)]
pub(crate) struct RunningSessions {
    tasks: HashMap<SessionId, Task>,
    abandoned: Vec<CancellationToken>,
    ends: mpsc::UnboundedSender<ReportedEnd>,
    grace: Duration,
}

impl RunningSessions {
    /// Nothing runs; ends will be sent to the decider's own lane.
    pub(crate) fn new(ends: mpsc::UnboundedSender<ReportedEnd>, grace: Duration) -> Self {
        Self { tasks: HashMap::new(), abandoned: Vec::new(), ends, grace }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether processes run: they are never left behind.
    pub(crate) fn has_processes(&self) -> bool {
        self.tasks.values().any(|task| task.patience == Patience::UntilGone)
    }

    /// The sessions that can be abandoned behind their fences, with these. Processes cannot: they
    /// end first, and then it is recorded.
    pub(crate) fn to_abandon(&self) -> Vec<(SessionId, Fence)> {
        let functions = self.tasks.iter().filter(|(_, task)| task.patience == Patience::Grace);
        functions.map(|(session, task)| (session.clone(), task.fence)).collect()
    }

    /// Starts a session.
    pub(crate) fn start(
        &mut self,
        spawn: Spawn,
        function: Option<&RunnerFn>,
        patience: Patience,
        handle: &Handle,
    ) {
        let (session, fence) = (spawn.session.clone(), spawn.fence);
        let Some(function) = function.cloned() else {
            let end = SessionEnd::new(SessionOutcome::SpawnFailed)
                .with_text("the function is not registered any more");
            return self.send(ReportedEnd { session, fence, end, asked: None, blobs: Vec::new() });
        };
        let stop = CancellationToken::new();
        let asked = Arc::new(OnceLock::new());
        let context = SessionContext::new(spawn, stop.clone(), Arc::clone(&asked), handle.clone());
        let ends = self.ends.clone();
        let id = session.clone();
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let task = tokio::spawn(async move {
            let own = context.clone();
            let guarded =
                Guarded { function: Some((function, context)), future: None, _gone: guard };
            let result = guarded.await;
            let (end, blobs) = end_of(own.judged(result));
            // The decider is gone only when the engine is: then there is no receiver for this.
            let _ = ends.send(ReportedEnd { session: id, fence, end, asked: None, blobs });
        });
        self.tasks.insert(
            session,
            Task { fence, stop, abort: task.abort_handle(), gone, patience, asked, cut_off: false },
        );
    }

    /// Asks a session to stop; after the grace it is dropped, and its end reported once it is gone.
    /// A function that keeps its thread cannot be dropped: it has the grace once more and is then
    /// left behind its fence.
    pub(crate) fn stop(&mut self, session: &SessionId, cause: StopCause) {
        let Some(task) = self.tasks.get(session).filter(|task| task.asked.set(cause).is_ok())
        else {
            return;
        };
        task.stop.cancel();
        if task.patience == Patience::UntilGone {
            return;
        }
        let (abort, gone, fence) = (task.abort.clone(), task.gone.clone(), task.fence);
        let (ends, grace) = (self.ends.clone(), self.grace);
        let session = session.clone();
        tokio::spawn(async move {
            if tokio::time::timeout(grace, gone.cancelled()).await.is_ok() {
                return;
            }
            abort.abort();
            let _ = tokio::time::timeout(grace, gone.cancelled()).await;
            let end = SessionEnd::new(SessionOutcome::Cancelled)
                .with_text("it did not stop within the grace and was abandoned");
            let _ = ends.send(ReportedEnd { session, fence, end, asked: None, blobs: Vec::new() });
        });
    }

    /// Asks every session to stop that was not asked yet.
    pub(crate) fn stop_all(&mut self, cause: StopCause) {
        for session in self.tasks.keys().cloned().collect::<Vec<_>>() {
            self.stop(&session, cause);
        }
    }

    /// Asks every process to stop that was not asked yet, because the engine is closed. What that
    /// cuts off is lost, as functions are that do not end by themselves.
    pub(crate) fn cut_off_processes(&mut self) {
        for task in self.tasks.values_mut().filter(|task| task.patience == Patience::UntilGone) {
            task.cut_off = true;
            task.stop.cancel();
        }
    }

    /// Waits until no process runs, however long their own graces are. Their ends are on their way
    /// to the decider then.
    pub(crate) async fn processes_gone(&self) {
        for task in self.tasks.values().filter(|task| task.patience == Patience::UntilGone) {
            task.gone.cancelled().await;
        }
    }

    /// Forgets a session whose end has arrived, and notes with the end why it had been asked to
    /// stop.
    pub(crate) fn ended(&mut self, end: &mut ReportedEnd) {
        let Some(task) = self.tasks.remove(&end.session) else { return };
        end.asked = task.asked.get().copied();
        if task.cut_off && end.asked.is_none() && end.end.outcome == SessionOutcome::Cancelled {
            end.end.outcome = SessionOutcome::Lost;
            end.end.text = Some(CLOSED.to_owned());
        }
    }

    /// Abandons what still runs.
    pub(crate) fn abandon(&mut self) {
        for (_, task) in self.tasks.drain() {
            task.stop.cancel();
            task.abort.abort();
            self.abandoned.push(task.gone);
        }
    }

    /// Waits until the abandoned are gone; those that keep their thread are waited for no longer
    /// than the grace.
    pub(crate) async fn gone(&mut self) {
        let abandoned = std::mem::take(&mut self.abandoned);
        let all = async {
            for gone in abandoned {
                gone.cancelled().await;
            }
        };
        let _ = tokio::time::timeout(self.grace, all).await;
    }

    fn send(&self, ending: ReportedEnd) {
        let _ = self.ends.send(ending);
    }
}

impl Drop for RunningSessions {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// What is recorded of a session's result, and the blobs that it names.
pub(crate) fn end_of(result: SessionResult) -> (SessionEnd, Vec<Blob>) {
    match result {
        Ok(output) => {
            let blob = output.bytes.map(Blob::new);
            let end = SessionEnd {
                text: output.text,
                reported: output.report,
                output: blob.as_ref().map(|blob| blob.digest),
                scores: output.scores,
                tree: output.tree,
                ran: output.ran,
                route: output.route,
                ..SessionEnd::new(SessionOutcome::Success)
            };
            (end, blob.into_iter().chain(output.printed).collect())
        }
        Err(failed) => {
            let tree = failed.tree;
            let end = SessionEnd {
                reported: failed.report.map(|report| *report),
                tree,
                ran: failed.ran,
                route: failed.route,
                ..SessionEnd::new(failed.outcome).with_text(failed.text)
            };
            (end, failed.printed)
        }
    }
}

/// Runs a function so that its panic is its failure and not ours.
struct Guarded {
    // Fields are dropped in order: the function first.
    function: Option<(RunnerFn, SessionContext)>,
    future: Option<Pin<Box<dyn Future<Output = SessionResult> + Send>>>,
    _gone: DropGuard,
}

impl Future for Guarded {
    type Output = SessionResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<SessionResult> {
        let this = self.get_mut();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let Some((function, session)) = this.function.take() {
                this.future = Some(function(session));
            }
            let polled = match this.future.as_mut() {
                Some(future) => future.as_mut().poll(context),
                None => Poll::Pending,
            };
            if polled.is_ready() {
                // It has not ended well before what it holds is gone.
                drop(this.future.take());
            }
            polled
        }));
        polled.unwrap_or_else(|panic| {
            // What panicked may do so again when it is dropped; the first message is the one that
            // explains.
            let future = this.future.take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
            Poll::Ready(Err(Failed::because(format!(
                "the function panicked: {}",
                message_of(panic.as_ref())
            ))))
        })
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
