//! The limits of the kernel, in one place.

/// Most items that a configuration takes, unless it says otherwise.
pub const MAX_WORK_QUEUE_SIZE: usize = 1_000;
/// Most entries of a reducer's maps.
pub const MAX_HASHMAP_SIZE: usize = 10_000;
/// Most session numbers kept for an item; older ones are in the ledger.
pub const MAX_SESSION_IDS_PER_WORK: usize = 100;
/// Items failed for good in a row that trip the breaker, unless the configuration says otherwise.
pub const CIRCUIT_BREAKER_THRESHOLD: u32 = 3;
/// Attempts of an item, unless the configuration says otherwise.
pub const DEFAULT_MAX_ATTEMPTS_PER_WORK: u32 = 3;
/// Most attempts that an item can be given.
pub const MAX_ATTEMPTS_LIMIT: u32 = 100;
/// Most items that a receipt spells out; each full thousand before them is a digest.
pub const MAX_WORK_OUTCOMES: usize = 1_000;
/// Most session numbers of an item in a receipt.
pub const MAX_SESSION_IDS_PER_OUTCOME: usize = 100;
/// Most objectives that a controller keeps for the planner.
pub const MAX_TRACKED_OBJECTIVES: usize = 1_000;
/// Attempts from which a planner decision leaves a receipt.
pub const TIER3_ESCALATION_THRESHOLD: u32 = 3;
/// Most items in one event.
pub const MAX_ITEMS_PER_EVENT: usize = 1_000;
/// Deepest nesting of coordinations.
pub const MAX_DEPTH: u8 = 8;
/// Longest text that a session leaves, in bytes; the rest is cut off.
pub const MAX_TEXT_BYTES: usize = 4_096;
/// Most votes that are recorded with a decision about an attempt.
pub const MAX_VOTES: usize = 8;
/// Longest text of a vote, in bytes; the rest is cut off.
pub const MAX_VOTE_TEXT_BYTES: usize = 512;
/// Most items that one item may route to, and that one decision names.
pub const MAX_ROUTES: usize = 100;
/// How often an item may be visited unless it says otherwise.
pub const DEFAULT_VISITS: u32 = 10;
/// Most visits that an item may allow.
pub const MAX_VISITS: u32 = 1_000;
/// Most scores that a session may give; further ones are left out.
pub const MAX_SCORES: usize = 100;
/// Longest name of a score, in bytes; scores with a longer one, or with control characters in it,
/// are left out.
pub const MAX_SCORE_NAME_BYTES: usize = 128;
/// Finished items of an open coordination that stay in memory whatever happens; older ones do while
/// unfinished work needs them. May be raised, never lowered: replay would miss what it then needs.
pub const MAX_FINISHED_IN_MEMORY: usize = 10_000;
/// Most archives that one command may need looked into.
pub const MAX_ARCHIVES_READ: usize = 1_000;
/// Most sessions at a time.
pub const MAX_CONCURRENCY: u32 = 10_000;
/// Commands of a stream whose ids are remembered.
pub const MAX_REMEMBERED_COMMANDS: usize = 10_000;
/// Longest type of a signal, in bytes.
pub const MAX_SIGNAL_TYPE_BYTES: usize = 100;
/// Longest name of an agent that signals are from, to or about, in bytes.
pub const MAX_AGENT_NAME_BYTES: usize = 100;
/// Most agents that one signal names as its addressees.
pub const MAX_ADDRESSEES: usize = 250;
/// Most data of one signal, in bytes of JSON.
pub const MAX_SIGNAL_DATA_BYTES: usize = 64 * 1024;
/// Most data of a signal that is in its event; more is a blob.
pub const MAX_DATA_IN_EVENT_BYTES: usize = 4 * 1024;
/// Signals that are kept as the last ones of a type and agent; older ones are in the stream.
pub const MAX_LATEST_SIGNALS: usize = 10_000;
/// Types of signals that a receipt counts one by one; what comes after them is counted together.
pub const MAX_COUNTED_SIGNAL_TYPES: usize = 1_000;
/// Gates whose scores a receipt spells out; the rest are counted.
pub const MAX_GATES_IN_RECEIPT: usize = 1_000;
/// Questions of a coordination that may wait for an answer.
pub const MAX_OPEN_QUESTIONS: usize = 1_000;
/// Questions whose answers are remembered; the oldest answer is forgotten first.
pub const MAX_ANSWERED_QUESTIONS: usize = 10_000;
/// Most questions that a state holds.
pub(super) const MAX_QUESTIONS: usize = MAX_OPEN_QUESTIONS + MAX_ANSWERED_QUESTIONS;
/// Longest question, and longest reason of an answer, in bytes.
pub const MAX_QUESTION_BYTES: usize = 1_000;
/// Answers that a receipt spells out; the rest are counted.
pub const MAX_ANSWERS_IN_RECEIPT: usize = 1_000;
/// Longest key that tells a repeated signal, in bytes.
pub const MAX_DEDUP_KEY_BYTES: usize = 256;
/// Most such keys of a coordination; the oldest goes first.
pub const MAX_DEDUP_KEYS: usize = 10_000;
/// Longest time for which such a key is kept, in nanoseconds of ledger time: a day.
pub const MAX_DEDUP_WINDOW_NS: u64 = 24 * 60 * 60 * 1_000_000_000;
/// Signals and changes of keys that one session may make in a second, evenly.
pub const SESSION_WRITES_PER_SECOND: u64 = 100;
/// Signals and changes of keys that one session may make at once.
pub const SESSION_WRITE_BURST: u64 = 1_000;
/// Most keys of a coordination.
pub const MAX_KEYS: usize = 100_000;
/// Most changes of keys in one event.
pub const MAX_CHANGES_PER_EVENT: usize = 1_000;
/// Most of a key's value that is in the state and in its event, in bytes of JSON; more is a blob.
pub const MAX_KEY_BYTES_IN_STATE: usize = 256;
/// Largest value of a key, in bytes of JSON.
pub const MAX_KEY_BYTES: usize = 1024 * 1024;
/// Most keys of those that all share which sessions of an item may change.
pub const MAX_LENT_KEYS: usize = 100;
/// Most runners that the sessions of an item are given to.
pub const MAX_CAPABLE_RUNNERS: usize = 100;
/// Most capabilities that an item wants.
pub const MAX_WANTED_CAPABILITIES: usize = 20;
/// Most needs of an item on keys that all share.
pub const MAX_SHARED_NEEDS: usize = 100;
