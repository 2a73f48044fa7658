//! The task of a stream that is followed: it takes each event from the decider once and gives it to
//! every follower, so that what the decider does for an event does not depend on how many there are.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use antiphon_core::envelope::Recorded;
use tokio::sync::Notify;

use super::backlog::{Fed, Inlet, Outlet};

/// What an event weighs besides its payload.
const ENVELOPE_BYTES: usize = 512;

/// Followers that are served before other tasks have their turn.
const SERVED_TOGETHER: usize = 128;

/// What the decider tells the task of a stream, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Told {
    Event(Arc<Recorded>),
    /// Somebody follows what comes next.
    Joined(Inlet<Arc<Recorded>>),
}

/// How many followers have left since the task last looked.
#[derive(Debug, Default)]
pub(super) struct Departures {
    count: AtomicUsize,
    noted: Notify,
}

/// Tells the task that a follower has left, when it is dropped.
#[derive(Debug)]
pub(super) struct Departure(pub(super) Arc<Departures>);

impl Drop for Departure {
    fn drop(&mut self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.0.noted.notify_one();
    }
}

/// Serves the followers of a stream until the stream ends or nobody follows it.
pub(super) async fn fan_out(mut told: Outlet<Told>, departures: Arc<Departures>) {
    let mut followers: Vec<Inlet<Arc<Recorded>>> = Vec::new();
    loop {
        let next = tokio::select! {
            biased;
            next = poll_fn(|context| told.poll_next(context)) => next,
            () = departures.noted.notified() => {
                // Looked for once they are half of all, so that leaving costs the same however many
                // stay.
                if departures.count.load(Ordering::Relaxed) * 2 >= followers.len() {
                    departures.count.store(0, Ordering::Relaxed);
                    followers.retain(|follower| !follower.is_closed());
                }
                if followers.is_empty() { break }
                continue;
            }
        };
        match next {
            Fed::Next(Told::Event(event)) => deliver(&mut followers, &event).await,
            Fed::Next(Told::Joined(follower)) => followers.push(follower),
            Fed::Lost => {
                followers.iter().for_each(Inlet::lose);
                return;
            }
            Fed::Ended => return,
        }
    }
    // Whoever joins at this moment asks again.
    for told in told.close() {
        if let Told::Joined(follower) = told {
            follower.lose();
        }
    }
}

/// Gives an event to all; those that have left, or are too far behind, are let go.
async fn deliver(followers: &mut Vec<Inlet<Arc<Recorded>>>, event: &Arc<Recorded>) {
    let weight = weight(event);
    let (mut at, mut served) = (0, 0);
    while let Some(follower) = followers.get(at) {
        match follower.put(weight, Arc::clone(event)) {
            Ok(()) => at += 1,
            Err(_) => drop(followers.swap_remove(at)),
        }
        served += 1;
        if served % SERVED_TOGETHER == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// What an event counts for where it waits, in bytes.
pub(super) fn weight(event: &Recorded) -> usize {
    ENVELOPE_BYTES + event.payload.bytes().map_or(0, <[u8]>::len)
}
