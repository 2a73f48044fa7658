//! Events on their way from the decider to those who follow a stream: bounded by bytes, and only
//! where there is a follower.
//!
//! The engine waits for no follower. One that is too far behind loses its feed, reads what it has
//! missed from the store, and asks for another.

mod backlog;
mod fan_out;
mod feeds;

use std::sync::Arc;
use std::task::{Context, Poll};

use antiphon_core::envelope::Recorded;

pub(crate) use backlog::Fed;
pub(crate) use feeds::Feeds;

use backlog::{Inlet, Outlet, backlog};
use fan_out::Departure;

/// Bytes of events that may wait for one follower; room for the largest event many times.
const WAITING_BYTES: usize = 1024 * 1024;

/// The follower's side: the events of a stream from the moment at which it was asked for.
#[derive(Debug)]
pub(crate) struct Feed {
    events: Outlet<Arc<Recorded>>,
    // Dropped after the queue: who is told of it finds the queue closed.
    _departure: Option<Departure>,
}

impl Feed {
    /// A feed, and what puts events into it.
    fn open(departure: Departure) -> (Inlet<Arc<Recorded>>, Self) {
        let (inlet, events) = backlog(WAITING_BYTES);
        (inlet, Self { events, _departure: Some(departure) })
    }

    /// A feed of a stream in which nothing happens any more.
    pub(crate) fn ended() -> Self {
        Self { events: backlog(0).1, _departure: None }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Fed<Arc<Recorded>>> {
        self.events.poll_next(context)
    }
}
