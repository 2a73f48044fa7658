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
    /// The head of the request is malformed, or a query parameter, a header or an id in the path is
    /// wrong.
    InvalidRequest = "invalid_request", 400, "The request is invalid";
    /// The caller is neither the engine's user nor root.
    ForeignUser = "foreign_user", 403, "The caller is not the engine's user";
    /// The caller is a process that cannot be identified.
    UnplacedCaller = "unplaced_caller", 403, "The caller cannot be identified";
    /// The caller runs inside a session, which may not ask for this.
    SessionMayNot = "session_may_not", 403, "A session may not ask for this";
    /// The caller runs inside a session; sessions ask, and never answer.
    ApprovalBySession = "approval_by_session", 403, "A session may not answer a question";
    /// There is nothing under this path.
    UnknownPath = "unknown_path", 404, "There is nothing under this path";
    /// There is no such run.
    UnknownRun = "unknown_run", 404, "There is no such run";
    /// There is no such item in the run.
    UnknownWork = "unknown_work", 404, "There is no such item in the run";
    /// The agent has no context.
    UnknownContext = "unknown_context", 404, "The agent has no context";
    /// The run has no such question.
    UnknownQuestion = "unknown_question", 404, "There is no such question in the run";
    /// The path does not take this method.
    WrongMethod = "wrong_method", 405, "The path does not take this method";
    /// The body did not come in time.
    BodyTimeout = "body_timeout", 408, "The body did not come in time";
    /// The session has ended, or another has taken its place.
    StaleSession = "stale_session", 409, "The session is over";
    /// A key is not as the change expects it to be.
    StaleKey = "stale_key", 409, "A key is not as expected";
    /// Something else was asked under the id.
    OtherQuestion = "other_question", 409, "The id of the question is taken";
    /// The question has another answer, which stands.
    AnsweredOtherwise = "answered_otherwise", 409, "The question has another answer";
    /// As many questions of the run are open as can be.
    TooManyOpen = "too_many_open", 409, "Too many questions of the run are open";
    /// The id is taken by a run that was started with something else.
    IdTaken = "id_taken", 409, "The id is taken";
    /// The `Idempotency-Key` was used for another command.
    KeyUsed = "key_used", 409, "The key was used for another command";
    /// The run's state does not allow this.
    WrongState = "wrong_state", 409, "The run's state does not allow this";
    /// The run has ended.
    RunEnded = "run_ended", 409, "The run has ended";
    /// The run has not ended and has no receipt yet.
    NotEnded = "not_ended", 409, "The run has not ended";
    /// The item has no such session, or none has started yet.
    NoSession = "no_session", 409, "The item has no such session";
    /// The item has no value, or none yet.
    NoValue = "no_value", 409, "The item has no value";
    /// The wait closes a cycle of agents that wait for each other.
    WaitCycle = "wait_cycle", 409, "Agents would wait for each other";
    /// The run that is to be retried is not the one that was meant.
    OtherForerunner = "other_forerunner", 409, "The run to be retried is another one";
    /// Every item of the run to be retried succeeded, and none has changed.
    NothingToRun = "nothing_to_run", 409, "There is nothing to run again";
    /// The data of a signal does not fit the schema of its type.
    SchemaMismatch = "schema_mismatch", 422, "The signal does not fit its schema";
    /// What an item put out that is to be taken over is gone.
    OutputGone = "output_gone", 410, "An output that is to be taken over is gone";
    /// What was asked for was erased.
    Erased = "erased", 410, "What was asked for was erased";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", 413, "The body is too large";
    /// The body's media type is not that of JSON.
    WrongMediaType = "wrong_media_type", 415, "The body must be JSON";
    /// The body is JSON, but not of the shape that the path takes.
    InvalidBody = "invalid_body", 422, "The body does not have the right shape";
    /// The plan has problems.
    InvalidPlan = "invalid_plan", 422, "The plan has problems";
    /// A ceiling of the budget would be lower than it is, or is not high enough to continue.
    CeilingTooLow = "ceiling_too_low", 422, "The ceiling is too low";
    /// The engine's rules forbid it.
    Refused = "refused", 422, "The engine's rules forbid this";
    /// The mailbox is full.
    Busy = "busy", 429, "The engine's mailbox is full";
    /// A session sends signals faster than it may.
    TooManySignals = "too_many_signals", 429, "The session sends too many signals";
    /// A session changes keys faster than it may.
    TooManyChanges = "too_many_changes", 429, "The session changes keys too often";
    /// A session asks questions faster than it may.
    TooManyQuestions = "too_many_questions", 429, "The session asks too many questions";
    /// As many callers wait in the run as may.
    TooManyWaits = "too_many_waits", 429, "Too many callers wait in the run";
    /// The head of the request is larger than allowed.
    HeadTooLarge = "head_too_large", 431, "The head of the request is too large";
    /// The evidence for what was asked is damaged.
    Damaged = "damaged", 500, "The ledger is damaged";
    /// The ledger cannot be read.
    Unreadable = "unreadable", 500, "The ledger cannot be read";
    /// An error in Antiphon itself.
    Internal = "internal", 500, "An internal error";
    /// There are too many connections.
    TooManyConnections = "too_many_connections", 503, "There are too many connections";
    /// The engine has not yet recovered what an earlier one left.
    TakingOver = "taking_over", 503, "The engine is still starting";
    /// The ledger refused to record the command; nothing has changed.
    NotTaken = "not_taken", 503, "The ledger did not record this";
    /// The ledger records nothing for now.
    ReadOnly = "read_only", 503, "The ledger is read-only for now";
    /// The ledger is closed to writes until a restart has verified it.
    Poisoned = "poisoned", 503, "The ledger is closed to writes";
    /// The state directory was removed, renamed, replaced or unmounted; nothing is recorded any more.
    DirectoryGone = "directory_gone", 503, "The state directory is gone";
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
            | Self::TooManySignals
            | Self::TooManyChanges
            | Self::TooManyQuestions
            | Self::TooManyConnections
            | Self::TakingOver
            | Self::NotTaken
            | Self::ReadOnly
            | Self::NoAnswer => Some(1),
            _ => None,
        }
    }
}
