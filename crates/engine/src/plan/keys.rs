//! Every key of a plan file in one table: the reader looks keys up here, the JSON Schema is made
//! from it, and a test holds `docs/plan.md` against it.

use std::fmt;

/// A mapping with fixed keys.
#[derive(Debug)]
pub struct Object {
    /// Its name in the schema.
    pub name: &'static str,
    /// What it is, for messages: "the plan", "a runner".
    pub what: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Names that are reserved for a later version.
    pub later: &'static [&'static str],
    /// Whether keys of the user's own are allowed besides: the parameters of a runner.
    pub open: bool,
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it means, in one or two sentences.
    pub doc: &'static str,
    /// The key with a value, as it stands in a plan.
    pub example: &'static str,
    /// Whether it must be there.
    pub required: bool,
}

/// What a key takes.
#[derive(Debug)]
pub enum Kind {
    /// A text.
    Text,
    /// A text with placeholders.
    Template,
    /// A parameter's value: a text with placeholders, or a number or truth value as it is written.
    Value,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Integer(i64, i64),
    /// A count such as `200k`.
    Count,
    /// A duration such as `10m`.
    Duration,
    /// A size such as `2GiB`.
    Size,
    /// A cost such as `2.50 USD`.
    Cost,
    /// A share such as `20%`.
    Share,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A list.
    List(&'static Self),
    /// A mapping from names of the user's own.
    Names(&'static Self),
    /// A mapping with fixed keys.
    Of(&'static Object),
    /// One of several.
    Either(&'static [Self]),
}

/// What it takes, in words.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Template => f.write_str("text with placeholders"),
            Self::Value => f.write_str("value with placeholders"),
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Integer(min, max) if *max >= i64::from(i32::MAX) && *min > 0 => {
                write!(f, "whole number from {min}")
            }
            Self::Integer(min, max) if *max >= i64::from(i32::MAX) && *min < 0 => {
                f.write_str("whole number")
            }
            Self::Integer(min, max) => write!(f, "whole number from {min} to {max}"),
            Self::Count => f.write_str("count"),
            Self::Duration => f.write_str("duration"),
            Self::Size => f.write_str("size"),
            Self::Cost => f.write_str("cost"),
            Self::Share => f.write_str("share"),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                f.write_str(&words.join(", "))
            }
            Self::List(of) => write!(f, "list of: {of}"),
            Self::Names(of) => write!(f, "names, each with: {of}"),
            Self::Of(object) => write!(f, "mapping `{}`", object.name),
            Self::Either(kinds) => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                f.write_str(&kinds.join("; or "))
            }
        }
    }
}

impl Object {
    /// The key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

const fn key(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { name, kind, doc, example, required: false }
}

const fn required(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key { name, kind, doc, example, required: true }
}

/// All mappings with fixed keys, the whole plan first.
pub static OBJECTS: [&Object; 13] = [
    &PLAN,
    &BUDGET,
    &RUNNER,
    &ITEM,
    &RETRY,
    &LIMITS,
    &CHECK,
    &ENV_FROM,
    &ENV_TEXT,
    &ENV_SECRET,
    &SECRET_COMMAND,
    &STDIN_FILE,
    &INPUT_VALUE,
];

/// The whole file.
pub(super) static PLAN: Object = Object {
    name: "plan",
    what: "the plan",
    keys: &[
        required(
            "name",
            Kind::Text,
            "name: codegen",
            "What the run is called, in lists and in its receipt.",
        ),
        required(
            "budget",
            Kind::Of(&BUDGET),
            "budget: { sessions: 20, duration: 10m }",
            "What the run may use in all. Sessions and duration always have a ceiling.",
        ),
        required(
            "work",
            Kind::Names(&Kind::Of(&ITEM)),
            "work: { build: { command: [make] } }",
            "The items, by id.",
        ),
        key(
            "runners",
            Kind::Names(&Kind::Of(&RUNNER)),
            "runners: { py: { command: [python3, \"{{script}}\"] } }",
            "Commands that several items share, by name.",
        ),
        key(
            "concurrency",
            Kind::Integer(1, 10_000),
            "concurrency: 4",
            "How many sessions run at a time. 1 if absent.",
        ),
        key(
            "retry",
            Kind::Of(&RETRY),
            "retry: { attempts: 2 }",
            "How items without a `retry` of their own are retried. 3 attempts without waiting if absent.",
        ),
        key(
            "breaker",
            Kind::Integer(1, 1_000_000),
            "breaker: 3",
            "How many items in a row may fail for good before the run stops. 3 if absent.",
        ),
        key(
            "on_exhausted",
            Kind::Word(&["stop", "pause"]),
            "on_exhausted: pause",
            "Whether the run ends when a ceiling is reached (`stop`, the default) or waits for an operator to raise it (`pause`).",
        ),
        key(
            "env",
            Kind::Names(&ENV_VALUE),
            "env: { LANG: C.UTF-8 }",
            "Environment variables of every session.",
        ),
        key(
            "labels",
            Kind::Names(&Kind::Text),
            "labels: { team: core }",
            "Texts to find the run by.",
        ),
    ],
    later: &["gates", "signals", "keys", "routes", "resources", "pools", "phases", "triggers"],
    open: false,
};

/// `budget:`.
pub(super) static BUDGET: Object = Object {
    name: "budget",
    what: "a budget",
    keys: &[
        required(
            "sessions",
            Kind::Integer(1, 4_294_967_295),
            "sessions: 20",
            "Most sessions; each attempt at an item is one.",
        ),
        required(
            "duration",
            Kind::Duration,
            "duration: 10m",
            "Longest time from start to end; it passes only while an engine runs.",
        ),
        key(
            "tokens",
            Kind::Count,
            "tokens: 200k",
            "Most tokens, fresh input and output together. Only sessions whose runner says how `usage` is read are held to it.",
        ),
        key(
            "cost",
            Kind::Cost,
            "cost: 2.50 USD",
            "Highest cost, in a currency of three capital letters. Held to as `tokens` is.",
        ),
    ],
    later: &[],
    open: false,
};

const COMMAND: Kind = Kind::List(&Kind::Template);

/// An entry of `runners:`.
pub(super) static RUNNER: Object = Object {
    name: "runner",
    what: "a runner",
    keys: &[
        key(
            "command",
            COMMAND,
            "command: [python3, \"{{script}}\"]",
            "The program and its arguments, never through a shell. A value that stands for `{{parameter}}` stays one argument.",
        ),
        key(
            "shell",
            Kind::Text,
            "shell: sort \"$IN\" | uniq -c",
            "A script for `sh -c`, instead of `command`. It takes no placeholders; pass values through `env`.",
        ),
        key(
            "env",
            Kind::Names(&ENV_VALUE),
            "env: { MODE: fast }",
            "Environment variables besides the plan's.",
        ),
        key(
            "stdin",
            STDIN,
            "stdin: \"{{prompt}}\"",
            "What the session reads from standard input; it is closed if absent.",
        ),
        key("limits", Kind::Of(&LIMITS), "limits: { memory: 2GiB }", "Ceilings of each session."),
        key("usage", USAGE, "usage: claude", USAGE_DOC),
        key(
            "timeout",
            Kind::Duration,
            "timeout: 5m",
            "Longest time of each session; then its processes are ended.",
        ),
        key(
            "grace",
            Kind::Duration,
            "grace: 10s",
            "How long a session that was asked to end has before it is killed. 10s if absent.",
        ),
    ],
    later: &["resources", "leases"],
    open: false,
};

const USAGE: Kind = Kind::Word(&["none", "result", "claude", "claude-stream"]);
const USAGE_DOC: &str = "How tokens and cost are read: not at all (`none`, the default), from the session's `result` file, or from what `claude -p` prints as JSON (`claude`) or as a stream of JSON (`claude-stream`).";

/// An entry of `work:`.
pub(super) static ITEM: Object = Object {
    name: "item",
    what: "an item",
    keys: &[
        key(
            "runner",
            Kind::Text,
            "runner: py",
            "The runner that carries it out. What the runner's placeholders name are further keys of the item.",
        ),
        key(
            "command",
            COMMAND,
            "command: [make, test]",
            "A command of its own, instead of a runner.",
        ),
        key(
            "shell",
            Kind::Text,
            "shell: make && make test",
            "A script of its own for `sh -c`, instead of a runner.",
        ),
        key(
            "plan",
            Kind::Text,
            "plan: other.yaml",
            "Another plan file that carries it out as a nested run, up to 8 deep.",
        ),
        key(
            "input",
            Kind::Names(&INPUT),
            "input: { contract: contract.json }",
            "Files that it reads, by name: `{{input.contract}}` is the path. `{ value: .. }` gives a value instead.",
        ),
        key(
            "output",
            OUTPUT,
            "output: { models: gen/models.py }",
            "What it puts out, by name: files that must be there when it ends, or names that its result file must hold.",
        ),
        key(
            "needs",
            Kind::List(&Kind::Template),
            "needs: [models]",
            "Items, groups and matrices that must have succeeded before it starts.",
        ),
        key(
            "group",
            Kind::Text,
            "group: generate",
            "A label; what needs the group waits for all items that have it.",
        ),
        key(
            "priority",
            Kind::Integer(-2_147_483_648, 2_147_483_647),
            "priority: 5",
            "Ready items with a higher one go first. 0 if absent.",
        ),
        key(
            "critical",
            Kind::Flag,
            "critical: true",
            "Whether the run has failed if this does not succeed.",
        ),
        key(
            "retry",
            Kind::Of(&RETRY),
            "retry: { attempts: 2, backoff: 1s }",
            "How it is retried, instead of the plan's `retry`.",
        ),
        key(
            "timeout",
            Kind::Duration,
            "timeout: 5m",
            "Longest time of each session, instead of the runner's.",
        ),
        key(
            "grace",
            Kind::Duration,
            "grace: 10s",
            "How long a session that was asked to end has, instead of the runner's.",
        ),
        key(
            "limits",
            Kind::Of(&LIMITS),
            "limits: { tokens: 50k }",
            "Ceilings of each session; each one replaces the runner's.",
        ),
        key(
            "env",
            Kind::Names(&ENV_VALUE),
            "env: { API_KEY: { secret: API_KEY } }",
            "Environment variables besides the runner's.",
        ),
        key(
            "stdin",
            STDIN,
            "stdin: { file: prompt.md }",
            "What it reads from standard input, instead of the runner's.",
        ),
        key(
            "usage",
            USAGE,
            "usage: result",
            "How tokens and cost are read, instead of the runner's.",
        ),
        key(
            "check",
            Kind::Either(&[COMMAND, Kind::Of(&CHECK)]),
            "check: [python3, check.py]",
            "A command that decides whether it succeeded, run after it in the same session; an exit code of 0 is not believed on its own then.",
        ),
        key(
            "on_failure",
            Kind::Word(&["skip_dependents", "continue", "abort"]),
            "on_failure: continue",
            "What happens when it has failed for good: what needs it is skipped (`skip_dependents`, the default), goes on (`continue`), or the run stops (`abort`).",
        ),
        key(
            "on_exhausted",
            Kind::Word(&["stop", "pause"]),
            "on_exhausted: pause",
            "With `plan`: what the nested run does at a ceiling, instead of its own `on_exhausted`.",
        ),
        key("as", Kind::Template, "as: reviewer", "The name it speaks under; its id if absent."),
        key(
            "matrix",
            Kind::Names(&Kind::List(&Kind::Value)),
            "matrix: { market: [us, eu], year: [2024, 2025] }",
            "Makes one item of each combination, `id[us,2024]` and so on. The names are parameters of the item.",
        ),
        key(
            "width",
            Kind::Integer(1, 10_000),
            "width: 2",
            "How many cells of the matrix run at a time; the plan's `concurrency` if absent.",
        ),
    ],
    later: &[
        "when",
        "undo",
        "gate",
        "gates",
        "route",
        "routes",
        "signal",
        "signals",
        "key",
        "keys",
        "resources",
        "leases",
        "pool",
    ],
    open: true,
};

/// `retry:`.
pub(super) static RETRY: Object = Object {
    name: "retry",
    what: "a retry policy",
    keys: &[
        key("attempts", Kind::Integer(1, 100), "attempts: 3", "How many times it is tried in all."),
        key(
            "backoff",
            Kind::Duration,
            "backoff: 1s",
            "How long to wait after the first failed attempt; twice as long after each further one.",
        ),
        key("cap", Kind::Duration, "cap: 5m", "Longest wait. 10m if absent."),
        key(
            "jitter",
            Kind::Share,
            "jitter: 20%",
            "How much of the wait is left to chance, so that not all come back at one moment.",
        ),
    ],
    later: &[],
    open: false,
};

/// `limits:`.
pub(super) static LIMITS: Object = Object {
    name: "limits",
    what: "a mapping of limits",
    keys: &[
        key("memory", Kind::Size, "memory: 2GiB", "Memory of all processes of a session together."),
        key(
            "processes",
            Kind::Integer(1, 4_294_967_295),
            "processes: 64",
            "Processes of a session at a time.",
        ),
        key("files", Kind::Integer(1, 4_294_967_295), "files: 1024", "Open files of each process."),
        key(
            "cpu",
            Kind::Duration,
            "cpu: 10m",
            "Processor time of all processes of a session together.",
        ),
        key("file_size", Kind::Size, "file_size: 1GiB", "Size of each file that a process writes."),
        key(
            "output",
            Kind::Size,
            "output: 1MiB",
            "How much of standard output and of standard error is kept, each.",
        ),
        key(
            "tokens",
            Kind::Count,
            "tokens: 50k",
            "Tokens that a session is granted; its runner must say how `usage` is read.",
        ),
        key(
            "cost",
            Kind::Cost,
            "cost: 0.50 USD",
            "Cost that a session is granted, in the budget's currency.",
        ),
    ],
    later: &[],
    open: false,
};

/// `check:` as a mapping.
pub(super) static CHECK: Object = Object {
    name: "check",
    what: "a check",
    keys: &[
        key("command", COMMAND, "command: [python3, check.py]", "The program and its arguments."),
        key(
            "shell",
            Kind::Text,
            "shell: test -s out.txt",
            "A script for `sh -c`, instead of `command`.",
        ),
        key(
            "timeout",
            Kind::Duration,
            "timeout: 30s",
            "Longest time that it takes. What is left of the session's time if absent.",
        ),
    ],
    later: &[],
    open: false,
};

const ENV_VALUE: Kind =
    Kind::Either(&[Kind::Value, Kind::Of(&ENV_FROM), Kind::Of(&ENV_TEXT), Kind::Of(&ENV_SECRET)]);

/// `{ from: NAME }` in `env:`.
pub(super) static ENV_FROM: Object = Object {
    name: "env_from",
    what: "a variable of the caller",
    keys: &[
        required(
            "from",
            Kind::Text,
            "from: HTTP_PROXY",
            "The variable of whoever submits the plan, read at that moment.",
        ),
        key(
            "default",
            Kind::Text,
            "default: none",
            "What it is if they have none; it must be there otherwise.",
        ),
    ],
    later: &[],
    open: false,
};

/// `{ text: .. }` in `env:`.
pub(super) static ENV_TEXT: Object = Object {
    name: "env_text",
    what: "a variable",
    keys: &[required(
        "text",
        Kind::Value,
        "text: v1",
        "A value under a name that looks like that of a secret, when it is none.",
    )],
    later: &[],
    open: false,
};

/// `{ secret: .. }` in `env:`.
pub(super) static ENV_SECRET: Object = Object {
    name: "env_secret",
    what: "a secret",
    keys: &[required(
        "secret",
        Kind::Either(&[Kind::Text, Kind::Of(&SECRET_COMMAND)]),
        "secret: API_KEY",
        "Where its value comes from when the plan is submitted: a variable of the caller's environment, or `{ command: .. }`. The value is never stored.",
    )],
    later: &[],
    open: false,
};

/// `{ command: .. }` in `secret:`.
pub(super) static SECRET_COMMAND: Object = Object {
    name: "secret_command",
    what: "the source of a secret",
    keys: &[required(
        "command",
        Kind::List(&Kind::Text),
        "command: [pass, show, api-key]",
        "A command that prints the value, run by whoever submits the plan.",
    )],
    later: &[],
    open: false,
};

const STDIN: Kind = Kind::Either(&[Kind::Template, Kind::Of(&STDIN_FILE)]);

/// `{ file: .. }` in `stdin:`.
pub(super) static STDIN_FILE: Object = Object {
    name: "stdin_file",
    what: "standard input",
    keys: &[required("file", Kind::Template, "file: prompt.md", "A file that it is read from.")],
    later: &[],
    open: false,
};

const INPUT: Kind = Kind::Either(&[Kind::Template, Kind::Of(&INPUT_VALUE)]);

/// `{ value: .. }` in `input:`.
pub(super) static INPUT_VALUE: Object = Object {
    name: "input_value",
    what: "an input",
    keys: &[required("value", Kind::Value, "value: 3", "The value itself, instead of a file.")],
    later: &[],
    open: false,
};

const OUTPUT: Kind = Kind::Either(&[Kind::List(&Kind::Text), Kind::Names(&Kind::Template)]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described_and_its_example_is_of_it() {
        for object in OBJECTS {
            for key in object.keys {
                assert!(
                    key.example.starts_with(&format!("{}: ", key.name)),
                    "{}.{}",
                    object.name,
                    key.name
                );
                assert!(key.doc.ends_with('.'), "{}.{}", object.name, key.name);
            }
        }
    }
}
