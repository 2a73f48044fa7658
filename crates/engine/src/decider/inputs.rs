//! Everything that wakes the decider, in one lane each, and which lane is listened to when.

use antiphon_core::time::{LedgerTime, WallTime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Decider;
use super::writer::Ack;
use crate::clock::{Clock, Timer};
use crate::incidents::Incident;
use crate::ledger::Gone;
use crate::mailbox::Request;
use crate::session::ReportedEnd;

/// What can happen to the decider.
pub(super) enum Input {
    /// The writer is done with a turn: it is durable, or it was not recorded.
    Written(Ack),
    /// The writer's thread ended without having been asked to.
    WriterLost,
    /// A session has ended.
    SessionEnded(ReportedEnd),
    /// A caller asks for something.
    Request(Request),
    /// A deadline of the world has come.
    Due,
    /// What the world has taken in fills more than one turn.
    More,
    /// It is time to try again: a full disk, or to give up what still runs while the engine closes.
    Retry,
    /// The state directory is gone.
    Gone(Gone),
    /// The engine was dropped without having been closed.
    Dropped,
}

/// Which lanes the decider listens to now. Acknowledgements always come first: they make room and
/// let out what waits.
pub(super) struct Listening {
    /// Whether the writer lives.
    writer: bool,
    /// Whether there is more to do at once.
    more: bool,
    /// Whether ends of sessions are taken in. They have a lane of their own, so that no flood of
    /// requests keeps them waiting.
    ends: bool,
    /// Whether deadlines are dealt with.
    deadlines: bool,
    /// Whether requests are taken in.
    requests: bool,
    /// Whether it matters that the engine is dropped.
    dropped: bool,
    /// When to try again although nothing happens.
    retry: Option<Instant>,
}

impl Decider {
    /// Arms the timer and says what is listened to.
    pub(super) fn listening(&mut self) -> Listening {
        let (takes, gathers) = (self.disk.has_room(), self.gathers());
        let (deadlines, deals) = self.deadlines(takes && !gathers);
        if let Err(error) = self.inputs.arm(&self.clock, deadlines) {
            self.incidents.note(Incident::DeadlineNotArmed, &"the next deadline", &error);
        }
        Listening {
            writer: self.disk.has_writer(),
            more: takes && !gathers && self.has_more(),
            ends: takes,
            deadlines: deals,
            requests: takes && self.takes_requests(),
            dropped: self.closing.is_none(),
            retry: self.retry(),
        }
    }
}

impl Decider {
    /// The next moments that something is to be done at, and whether it can be when they come.
    fn deadlines(&self, may_turn: bool) -> ((Option<LedgerTime>, Option<WallTime>), bool) {
        let wait = self.waits.next_deadline();
        // While nothing can be written no deadline of the world can be dealt with, and one that has
        // passed would fire for ever. The time of a wait is over all the same.
        let world = match self.disk.is_sound() && (may_turn || wait.is_none()) {
            true => self.world.next_deadline(),
            false => (None, None),
        };
        let first = world.0.into_iter().chain(wait).min();
        ((first, world.1), may_turn || wait.is_some())
    }
}

/// The lanes.
pub(super) struct Inputs {
    requests: mpsc::Receiver<Request>,
    ends: mpsc::UnboundedReceiver<ReportedEnd>,
    acks: mpsc::UnboundedReceiver<Ack>,
    /// Cancelled when the engine's owner drops it without closing; sessions hold handles of their
    /// own.
    dropped: CancellationToken,
    /// Speaks once, if the state directory goes.
    gone: Option<oneshot::Receiver<Gone>>,
    timer: Timer,
}

impl Inputs {
    pub(super) fn new(
        requests: mpsc::Receiver<Request>,
        ends: mpsc::UnboundedReceiver<ReportedEnd>,
        acks: mpsc::UnboundedReceiver<Ack>,
        dropped: CancellationToken,
        gone: Option<oneshot::Receiver<Gone>>,
        timer: Timer,
    ) -> Self {
        Self { requests, ends, acks, dropped, gone, timer }
    }

    /// Arms the timer for the earliest deadlines on the two clocks.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn arm(
        &mut self,
        clock: &Clock,
        deadlines: (Option<LedgerTime>, Option<WallTime>),
    ) -> std::io::Result<()> {
        self.timer.arm(clock, deadlines)
    }

    /// Waits for the next thing to happen.
    pub(super) async fn next(&mut self, clock: &Clock, listening: Listening) -> Input {
        let Listening { writer, more, ends, deadlines, requests, dropped, retry } = listening;
        tokio::select! {
            biased;
            ack = self.acks.recv(), if writer => ack.map_or(Input::WriterLost, Input::Written),
            gone = lost(&mut self.gone) => Input::Gone(gone),
            () = std::future::ready(()), if more => Input::More,
            Some(end) = self.ends.recv(), if ends => Input::SessionEnded(end),
            () = self.timer.fired(clock), if deadlines => Input::Due,
            Some(request) = self.requests.recv(), if requests => Input::Request(request),
            () = self.dropped.cancelled(), if dropped => Input::Dropped,
            () = tokio::time::sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => Input::Retry,
        }
    }

    pub(super) fn next_ack(&mut self) -> Option<Ack> {
        self.acks.try_recv().ok()
    }

    pub(super) fn next_end(&mut self) -> Option<ReportedEnd> {
        self.ends.try_recv().ok()
    }

    pub(super) fn next_request(&mut self) -> Option<Request> {
        self.requests.try_recv().ok()
    }
}

/// Waits until the directory is gone; for ever where nobody looks after it any more.
async fn lost(gone: &mut Option<oneshot::Receiver<Gone>>) -> Gone {
    if let Some(told) = gone {
        let told = told.await;
        *gone = None;
        if let Ok(told) = told {
            return told;
        }
    }
    std::future::pending().await
}
