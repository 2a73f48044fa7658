//! The paths of runs, which are written by both ends.

/// The path of all runs.
pub(crate) const RUNS: &str = "/v1/runs";

/// The path of the open questions of all runs.
#[cfg(feature = "client")]
pub(crate) const APPROVALS: &str = "/v1/approvals";

/// Below which the ledger is read as its store has it.
#[cfg(feature = "client")]
pub(crate) const LEDGER: &str = "/v1/ledger";

/// The path of a run, and what follows it.
pub(crate) fn run_path(id: &str, rest: &str) -> String {
    format!("{RUNS}/{}{rest}", segment(id))
}

/// The run in a path, as it is written there.
#[cfg(feature = "server")]
pub(crate) fn run_of(path: &str) -> Option<&str> {
    path.strip_prefix(RUNS)?.strip_prefix('/')?.split('/').next()
}

/// A text as a segment of a path: everything but letters, digits and `-._~` is encoded.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
