//! The stable codes of everything that the API answers with an error: the contract of
//! docs/error-codes.md.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, in a word that never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of their status.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// What it means, in one phrase that is the same every time.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// The status of its answers.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)*
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedBody = "malformed_body", 400, "The body is not JSON";
    /// A query parameter, a header or an id in the path makes no sense.
    InvalidRequest = "invalid_request", 400, "The request makes no sense";
    /// The caller is another user than the engine.
    ForeignUser = "foreign_user", 403, "The caller is another user than the engine";
    /// The caller is a process that cannot be placed.
    UnplacedCaller = "unplaced_caller", 403, "The caller cannot be placed";
    /// The caller runs inside a session, which may not ask for this.
    SessionMayNot = "session_may_not", 403, "A session may not ask for this";
    /// There is nothing under this path.
    UnknownPath = "unknown_path", 404, "There is nothing under this path";
    /// There is no such run.
    UnknownRun = "unknown_run", 404, "There is no such run";
    /// There is no such item in the run.
    UnknownWork = "unknown_work", 404, "There is no such work in the run";
    /// The path takes other methods.
    WrongMethod = "wrong_method", 405, "The path takes other methods";
    /// The body did not come in time.
    BodyTimeout = "body_timeout", 408, "The body did not come in time";
    /// The id is taken by a run that was started with something else.
    IdTaken = "id_taken", 409, "The id is taken";
    /// The run is not in the state that this is for.
    WrongState = "wrong_state", 409, "The run is not in the state for this";
    /// The run has ended.
    RunEnded = "run_ended", 409, "The run has ended";
    /// The run has not ended, and so has no receipt.
    NotEnded = "not_ended", 409, "The run has not ended";
    /// What was asked for was erased.
    Erased = "erased", 410, "What was asked for was erased";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    /// The body is something else than JSON by its own word.
    WrongMediaType = "wrong_media_type", 415, "The body must be JSON";
    /// The body is JSON, but not of the shape that the path takes.
    InvalidBody = "invalid_body", 422, "The body does not have the right shape";
    /// The plan has problems.
    InvalidPlan = "invalid_plan", 422, "The plan has problems";
    /// The engine's rules forbid it.
    Refused = "refused", 422, "The engine's rules forbid this";
    /// The mailbox is full.
    Busy = "busy", 429, "The engine has more to do than it can take in";
    /// The evidence for what was asked is damaged.
    Damaged = "damaged", 500, "The ledger is damaged there";
    /// The ledger cannot be read.
    Unreadable = "unreadable", 500, "The ledger cannot be read";
    /// A mistake of ours.
    Internal = "internal", 500, "A mistake in Antiphon";
    /// There are too many connections.
    TooManyConnections = "too_many_connections", 503, "There are too many connections";
    /// What an earlier engine left is not taken over yet.
    TakingOver = "taking_over", 503, "The engine is still taking over what it found";
    /// The ledger refused to record the command; nothing has changed.
    NotTaken = "not_taken", 503, "The ledger did not take this in";
    /// The ledger takes nothing in for now.
    ReadOnly = "read_only", 503, "The ledger is read-only for now";
    /// The ledger is closed to writes until a restart has verified it.
    Poisoned = "poisoned", 503, "The ledger is closed to writes";
    /// The engine does not answer in time.
    NoAnswer = "no_answer", 503, "The engine does not answer in time";
    /// The engine has stopped, or is about to.
    Stopping = "stopping", 503, "The engine is stopping";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Code {
    /// Seconds after which the same request may do, where waiting helps.
    #[must_use]
    pub fn retry_after(self) -> Option<u32> {
        match self {
            Self::Busy
            | Self::TooManyConnections
            | Self::TakingOver
            | Self::NotTaken
            | Self::ReadOnly
            | Self::NoAnswer => Some(1),
            _ => None,
        }
    }
}
