//! A queue that is bounded by bytes and never makes its writer wait: one that is full is lost, and
//! its reader is told so once it has read what is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::mpsc;

/// A queue for at most so many bytes.
pub(super) fn backlog<T>(bytes: usize) -> (Inlet<T>, Outlet<T>) {
    let (sender, items) = mpsc::unbounded_channel();
    let state =
        Arc::new(State { bytes, waiting: AtomicUsize::new(0), lost: AtomicBool::new(false) });
    (Inlet { items: sender, state: Arc::clone(&state) }, Outlet { items, state })
}

/// The writer's end. Dropping it ends the queue behind what is in it.
#[derive(Debug)]
pub(super) struct Inlet<T> {
    items: mpsc::UnboundedSender<(usize, T)>,
    state: Arc<State>,
}

/// The reader's end.
#[derive(Debug)]
pub(super) struct Outlet<T> {
    items: mpsc::UnboundedReceiver<(usize, T)>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    bytes: usize,
    waiting: AtomicUsize,
    lost: AtomicBool,
}

/// What comes out of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fed<T> {
    /// What comes next.
    Next(T),
    /// Something was left out here.
    Lost,
    /// Nothing more comes.
    Ended,
}

impl<T> Inlet<T> {
    /// Puts in something that weighs so many bytes. Gives it back if the reader has gone, or if the
    /// queue is full: it is lost then, and takes in nothing more.
    pub(super) fn put(&self, weight: usize, item: T) -> Result<(), T> {
        if self.state.lost.load(Ordering::Relaxed) {
            return Err(item);
        }
        let waiting = self.state.waiting.fetch_add(weight, Ordering::Relaxed);
        if waiting + weight > self.state.bytes {
            self.lose();
            return Err(item);
        }
        self.items.send((weight, item)).map_err(|mpsc::error::SendError((_, item))| item)
    }

    /// Has the reader know that something is left out.
    pub(super) fn lose(&self) {
        self.state.lost.store(true, Ordering::Release);
    }

    /// Whether the reader has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.items.is_closed()
    }
}

impl<T> Outlet<T> {
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Fed<T>> {
        self.items.poll_recv(context).map(|item| match item {
            Some((weight, item)) => {
                self.state.waiting.fetch_sub(weight, Ordering::Relaxed);
                Fed::Next(item)
            }
            None if self.state.lost.load(Ordering::Acquire) => Fed::Lost,
            None => Fed::Ended,
        })
    }

    /// Takes in nothing more, and gives what is there.
    pub(super) fn close(mut self) -> impl Iterator<Item = T> {
        self.items.close();
        std::iter::from_fn(move || self.items.try_recv().ok()).map(|(_, item)| item)
    }
}
