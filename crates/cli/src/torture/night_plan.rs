//! The plan of a run that commands carry out.

use std::io;
use std::path::Path;

use antiphon::random::Random;

/// How items behave, as the first part of their id says, and how often there are such.
const BEHAVIOURS: [&str; 10] =
    ["naps", "naps", "naps", "naps", "brief", "brief", "prints", "departs", "litters", "deaf"];

/// A plan with an item that fails in every run that is not a retry, and others of which some need
/// it.
pub(super) fn text(dir: &Path, seed: u64, random: &mut Random) -> io::Result<String> {
    let program = std::env::current_exe()?;
    let words = [
        &*program.to_string_lossy(),
        "torture",
        "--seed",
        &seed.to_string(),
        "--program",
        &*dir.to_string_lossy(),
    ];
    let command = serde_json::to_string(&words)?;
    let mut text = format!(
        "name: night\nbudget: {{ sessions: 1000, duration: 10m }}\nconcurrency: {}\n\
         retry: {{ attempts: 1 }}\nbreaker: off\nwork:\n",
        random.between(1, 4)
    );
    let mut ids = vec!["breaks-0".to_owned()];
    for position in 1..random.between(4, 10) {
        ids.push(format!("{}-{position}", random.pick(&BEHAVIOURS)));
    }
    for (position, id) in ids.iter().enumerate() {
        text.push_str(&format!("  {id}:\n    command: {command}\n"));
        if position > 0 && random.one_in(3) {
            text.push_str(&format!("    needs: [{}]\n", random.pick(&ids[..position])));
        }
        if id.starts_with("deaf") {
            text.push_str("    timeout: 300ms\n    grace: 20ms\n");
        }
    }
    Ok(text)
}
