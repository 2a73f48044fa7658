//! What engine and subreaper say to each other: one JSON value in each packet, with descriptors
//! beside it. Each request brings the socket on which it is answered, so none waits for another.

use serde::{Deserialize, Serialize};

use crate::process::mark::Mark;
use crate::process::tree_end::Leftover;

/// Most processes that are named as left.
pub(super) const MAX_LEFT: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::process) enum ToSubreaper {
    /// Start a warden: after the socket for the answer come its own socket, the state directory and,
    /// if it has one, its session's input.
    Spawn { mark: Mark, session: String },
    /// Say what is left of lost wardens once it is ended, at the latest after this time; of a warden
    /// by its process id, or of all.
    Look { warden: Option<i32>, within_ms: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::process) enum FromSubreaper {
    Hello {
        version: String,
    },
    /// It cannot serve.
    Unprepared(String),
    /// A warden of this process id; a descriptor of it is beside this.
    Spawned {
        pid: i32,
    },
    /// The system refused something.
    Refused {
        errno: i32,
    },
    Left(Left),
}

/// What is left of lost wardens, by the kernel's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Left {
    nothing: bool,
    killed: u64,
    leftovers: Vec<Leftover>,
}

impl Left {
    pub(super) fn nothing(killed: u64) -> Self {
        Self { nothing: true, killed, leftovers: Vec::new() }
    }

    /// These, or what cannot be listed.
    pub(super) fn something(leftovers: Vec<Leftover>, killed: u64) -> Self {
        Self { nothing: false, killed, leftovers }
    }

    /// Whether the kernel says that nothing is left.
    pub(in crate::process) fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// How many were killed since the warden was lost.
    pub(in crate::process) fn killed(&self) -> u64 {
        self.killed
    }

    pub(in crate::process) fn into_leftovers(self) -> Vec<Leftover> {
        self.leftovers
    }
}
