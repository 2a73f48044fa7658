//! The way to the disk: turns that are being written, whether the ledger takes anything in, and
//! what is durable. It decides nothing about what is written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use antiphon_core::append::Append;
use antiphon_core::event::Unreadable;
use antiphon_core::world::LedgerFacts;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::turns::TurnInFlight;
use super::writer::{Ack, WriteJob, Writer};
use crate::ledger::{AppendError, Cursor, Gone, Refusal, Store};
use crate::mailbox::Unavailable;

/// Turns that may be on their way to the disk: the one being written, and one ahead of it.
const TURNS_AHEAD: usize = 2;

/// A turn goes ahead of the disk once it has this part of the payload of the one before: a smaller
/// one could not be written sooner, and would cost a sync of its own.
const GATHER: usize = 4;

/// Beside a turn of more bytes the next one is made at once, as making it takes longer than a sync.
const GATHER_BESIDE: usize = 1 << 20;

/// Wait before a full disk is tried again.
const RETRY_FULL: Duration = Duration::from_millis(500);

/// Whether the ledger takes anything in.
pub(super) enum DiskHealth {
    Sound,
    /// Read-only until a write succeeds; tried again at the moment given.
    Full {
        reason: String,
        retry: Instant,
    },
    /// What is durable could not be read after an append had failed. There is no state to decide on
    /// or to look at until it is read; tried again at the moment given.
    Unread {
        reason: String,
        since: Instant,
        retry: Instant,
    },
    /// An append was refused: what the engine does of itself must be written before commands are
    /// taken in again.
    Proving {
        reason: String,
    },
    /// Closed to writes until a restart has verified it.
    Poisoned {
        reason: String,
    },
    /// Closed to writes for good: the directory that the ledger was in is gone.
    Gone {
        gone: Gone,
    },
    /// Closed to writes for this version, which does not know an event of the ledger.
    Newer {
        unreadable: Unreadable,
    },
}

impl DiskHealth {
    /// What a failed append makes of it.
    fn after(&self, error: &AppendError, now: Instant) -> Self {
        match (error, self) {
            (AppendError::Refused(Refusal::Gone(gone)), _) => Self::Gone { gone: gone.clone() },
            (AppendError::NotWritten { source }, _) => {
                Self::Full { reason: source.told(), retry: now + RETRY_FULL }
            }
            (AppendError::Refused(refusal), Self::Sound | Self::Full { .. })
                if !refusal.is_final() =>
            {
                Self::Proving { reason: refusal.to_string() }
            }
            // What the engine does of itself is refused; it would be again.
            (AppendError::Refused(_) | AppendError::Unknown { .. }, _) => {
                Self::Poisoned { reason: error.to_string() }
            }
        }
    }

    /// What a command is refused with, if it is.
    fn refusal(&self) -> Option<Unavailable> {
        match self {
            Self::Sound => None,
            Self::Full { reason, .. } | Self::Unread { reason, .. } => {
                Some(Unavailable::ReadOnly { reason: reason.clone() })
            }
            Self::Proving { reason } => Some(Unavailable::NotTaken { reason: reason.clone() }),
            Self::Poisoned { reason } => Some(Unavailable::Poisoned { reason: reason.clone() }),
            Self::Gone { gone } => Some(Unavailable::Gone { gone: gone.clone() }),
            Self::Newer { unreadable } => Some(Unavailable::Newer { event: unreadable.clone() }),
        }
    }
}

/// How a turn went.
pub(super) enum TurnOutcome {
    Durable(TurnInFlight),
    /// It was not recorded.
    Failed(TurnInFlight, AppendError),
    /// It had been given up before.
    Void,
}

/// What the decider has of the disk.
pub(super) struct Disk {
    store: Arc<dyn Store>,
    writer: Writer,
    writer_gone: bool,
    /// The ledger as it was opened, with the end of the commit chain as it was last durable.
    durable: LedgerFacts,
    in_flight: VecDeque<TurnInFlight>,
    /// Acknowledgements of turns that were given up.
    void_acks: usize,
    health: DiskHealth,
    /// When the disk was first found full, unless a write has succeeded since: that there was
    /// nothing to write is no success.
    full_since: Option<Instant>,
}

impl Disk {
    pub(super) fn new(
        store: Arc<dyn Store>,
        writer: Writer,
        durable: LedgerFacts,
        newer: Option<Unreadable>,
    ) -> Self {
        let health = newer.map_or(DiskHealth::Sound, |unreadable| DiskHealth::Newer { unreadable });
        Self {
            store,
            writer,
            writer_gone: false,
            durable,
            in_flight: VecDeque::new(),
            void_acks: 0,
            health,
            full_since: None,
        }
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn durable(&self) -> &LedgerFacts {
        &self.durable
    }

    pub(super) fn health(&self) -> &DiskHealth {
        &self.health
    }

    pub(super) fn is_sound(&self) -> bool {
        matches!(self.health, DiskHealth::Sound)
    }

    /// What a command is refused with now, if it is.
    pub(super) fn refusal(&self) -> Option<Unavailable> {
        self.health.refusal()
    }

    /// Whether this engine writes nothing any more, whatever happens.
    pub(super) fn is_closed_to_writes(&self) -> bool {
        matches!(
            self.health,
            DiskHealth::Poisoned { .. } | DiskHealth::Gone { .. } | DiskHealth::Newer { .. }
        )
    }

    /// Whether this engine never wrote, as it does not know all events of the ledger.
    pub(super) fn is_newer(&self) -> bool {
        matches!(self.health, DiskHealth::Newer { .. })
    }

    /// What a look at the live state is refused with now, if it is: what a poisoned ledger holds is
    /// unknown, and of a newer one, or one that could not be read again, there is no state.
    pub(super) fn refusal_of_reads(&self) -> Result<(), Unavailable> {
        let has_state = !self.is_closed_to_writes() && self.unread_since().is_none();
        if has_state { Ok(()) } else { self.refusal().map_or(Ok(()), Err) }
    }

    /// Since when there is no state, if it has to be read again.
    pub(super) fn unread_since(&self) -> Option<Instant> {
        match &self.health {
            DiskHealth::Unread { since, .. } => Some(*since),
            _ => None,
        }
    }

    /// Whether it is time to read the state again.
    pub(super) fn may_read_again(&self) -> bool {
        matches!(&self.health, DiskHealth::Unread { retry, .. } if *retry <= Instant::now())
    }

    pub(super) fn may_write(&self) -> bool {
        match &self.health {
            DiskHealth::Sound | DiskHealth::Proving { .. } => true,
            DiskHealth::Full { retry, .. } => *retry <= Instant::now(),
            DiskHealth::Unread { .. }
            | DiskHealth::Poisoned { .. }
            | DiskHealth::Gone { .. }
            | DiskHealth::Newer { .. } => false,
        }
    }

    /// When a full disk is tried again although nothing happens, be it to write or to read.
    pub(super) fn retry(&self) -> Option<Instant> {
        match &self.health {
            DiskHealth::Full { retry, .. } | DiskHealth::Unread { retry, .. }
                if self.in_flight.is_empty() =>
            {
                Some(*retry)
            }
            _ => None,
        }
    }

    /// Whether another turn may go on its way.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < TURNS_AHEAD && self.void_acks == 0
    }

    /// Whether no turn is on its way.
    pub(super) fn nothing_in_flight(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether nothing at all is on its way, not even answers that are no longer needed.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.void_acks == 0
    }

    /// Whether a turn of so many bytes is small compared with the one that is being written: it
    /// could not be written sooner, and what comes meanwhile shares its sync.
    pub(super) fn gathers(&self, turn_bytes: usize) -> bool {
        let small = |written: &TurnInFlight| {
            written.bytes <= GATHER_BESIDE && turn_bytes * GATHER < written.bytes
        };
        self.in_flight.back().is_some_and(small)
    }

    /// Sends a turn on its way, with cursors that are set in the same transaction.
    pub(super) fn append(&mut self, append: Box<Append>, cursors: Vec<Cursor>, turn: TurnInFlight) {
        self.in_flight.push_back(turn);
        self.writer.send(WriteJob::Append(append, cursors));
    }

    /// Has what a turn without an append lets out wait for the last one on its way. Gives it back
    /// if there is none: all that it rests on is durable.
    pub(super) fn rest_on_the_last(&mut self, turn: TurnInFlight) -> Option<TurnInFlight> {
        match self.in_flight.back_mut() {
            Some(last) => {
                last.join(turn);
                None
            }
            None => Some(turn),
        }
    }

    pub(super) fn move_cursor(
        &mut self,
        cursor: Cursor,
        reply: oneshot::Sender<Result<(), Unavailable>>,
    ) {
        self.writer.send(WriteJob::Move(cursor, reply));
    }

    /// What the writer says of the turn that was sent first.
    pub(super) fn written(&mut self, ack: Ack) -> TurnOutcome {
        if self.void_acks > 0 {
            self.void_acks -= 1;
            return TurnOutcome::Void;
        }
        match (self.in_flight.pop_front(), ack) {
            (None, _) => TurnOutcome::Void,
            (Some(turn), Ok(())) => {
                self.health = DiskHealth::Sound;
                self.full_since = None;
                self.durable.commit = turn.commit;
                TurnOutcome::Durable(turn)
            }
            (Some(turn), Err(error)) => TurnOutcome::Failed(turn, error),
        }
    }

    /// There was nothing to write, so nothing keeps the ledger from taking something in.
    pub(super) fn prove(&mut self) {
        if self.in_flight.is_empty() {
            self.health = DiskHealth::Sound;
        }
    }

    /// After a failed append: the turns behind it were decided on a state that never was, and the
    /// writer refuses each of them. Returns them.
    pub(super) fn fail(&mut self, error: &AppendError) -> Vec<TurnInFlight> {
        self.health = self.health.after(error, Instant::now());
        self.void_acks = self.in_flight.len();
        self.in_flight.drain(..).collect()
    }

    /// What is durable could not be read since an append failed.
    pub(super) fn leave_unread(&mut self, reason: String, since: Instant) {
        self.health = DiskHealth::Unread { reason, since, retry: since };
    }

    /// What is durable was read after all. Whether the ledger takes something in is seen from the
    /// next append.
    pub(super) fn read_after_all(&mut self) {
        if let DiskHealth::Unread { reason, retry, .. } = &mut self.health {
            self.health = DiskHealth::Full { reason: std::mem::take(reason), retry: *retry };
        }
    }

    /// Has a full disk wait before it is tried again: building the world may have taken longer than
    /// the wait, and others are to have their turn. Returns how long it has been full.
    pub(super) fn wait_for_room(&mut self, failed_at: Instant) -> Option<Duration> {
        let (DiskHealth::Full { retry, .. } | DiskHealth::Unread { retry, .. }) = &mut self.health
        else {
            return None;
        };
        *retry = Instant::now() + RETRY_FULL;
        Some(failed_at.duration_since(*self.full_since.get_or_insert(failed_at)))
    }

    /// Closes the ledger to writes until a restart has verified it.
    pub(super) fn poison(&mut self, reason: String) {
        self.health = DiskHealth::Poisoned { reason };
    }

    /// Closes the ledger to writes, as its directory is gone, and with it what is on its way there.
    /// Returns that.
    pub(super) fn lose(&mut self, gone: Gone) -> Vec<TurnInFlight> {
        self.health = DiskHealth::Gone { gone };
        self.void_acks += self.in_flight.len();
        self.in_flight.drain(..).collect()
    }

    /// The writer's thread is gone: nothing that is on its way arrives.
    pub(super) fn lose_writer(&mut self) -> Vec<TurnInFlight> {
        self.writer_gone = true;
        self.void_acks = 0;
        self.in_flight.drain(..).collect()
    }

    pub(super) fn has_writer(&self) -> bool {
        !self.writer_gone
    }

    /// Lets the writer finish what it has and closes the store.
    ///
    /// # Errors
    /// If the store could not be closed in order.
    pub(super) fn finish(&mut self) -> Result<(), Unavailable> {
        self.writer.finish().map_err(|reason| Unavailable::Poisoned { reason })
    }
}
