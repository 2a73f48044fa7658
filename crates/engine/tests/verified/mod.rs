//! What both verifiers say of a ledger: the engine's own, and the one that shares no code with it.

use std::path::Path;
use std::process::Command;

use antiphon::ledger::verify::{Scope, verify_directory};
use serde_json::{Value, json};

/// Asserts that neither finds anything wrong.
pub(crate) fn verified(state: &Path) -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(verify_directory(state, &Scope::Ledger)?.findings, []);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/verify_ledger.py");
    let output = Command::new("python3").args([script, "--json"]).arg(state).output()?;
    let second: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&second["sound"], &second["findings"]), (&true.into(), &json!([])));
    Ok(())
}
