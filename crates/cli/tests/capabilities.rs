//! Items that say what they want of a runner, with real processes.

use crate::plans::{self, Result, ran};

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

fn printed(ran: &plans::Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

#[test]
fn each_session_is_given_to_the_least_loaded_runner_that_has_what_is_wanted() -> Result {
    let dir = tempfile::tempdir()?;
    // Both are at work at the same time, as each waits for the other's signal.
    let meet = format!(
        "{BIN} signal send ready --about $ME && {BIN} signal wait ready --about $OTHER --timeout 60s"
    );
    let plan = format!(
        "name: teams
budget: {{ sessions: 9, duration: 5m }}
concurrency: 2
runners:
  claude: {{ shell: 'echo claude; {{ {meet}; }} >meet.$ME', capabilities: [review, rust] }}
  codex: {{ shell: 'echo codex; {{ {meet}; }} >meet.$ME', capabilities: [rust], env: {{ MODE: fast }} }}
work:
  a: {{ capabilities: [rust], env: {{ ME: a, OTHER: b }} }}
  b: {{ capabilities: [rust], env: {{ ME: b, OTHER: a }} }}
  c: {{ capabilities: [review, rust], env: {{ ME: c, OTHER: a }}, needs: [a, b] }}
"
    );
    std::fs::write(dir.path().join("plan.yaml"), plan)?;
    let run = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    for (item, runner) in [("a", "claude"), ("b", "codex"), ("c", "claude")] {
        assert_eq!(printed(&ran(dir.path(), &["logs", "r", item])?), runner);
    }
    let log = printed(&ran(dir.path(), &["log", "r"])?);
    let bound: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("running ").map(|(_, told)| told)).collect();
    let expected = [
        "a (session 1), by claude: 'claude' has rust; it is the first of 2 that are the least loaded \
         of 2 that fit (load 0)",
        "b (session 2), by codex: 'codex' has rust; it is the least loaded of 2 that fit (load 0)",
        "c (session 3), by claude: 'claude' has review, rust; nobody else fits (load 0)",
    ];
    assert_eq!(bound, expected, "{log}");
    let shown = printed(&ran(dir.path(), &["show", "r", "b"])?);
    assert!(shown.contains("MODE"), "{shown}");
    assert!(shown.contains("by codex"), "{shown}");
    // What a runner that might have carried it out does is another thing now, so it is done again.
    let text = std::fs::read_to_string(dir.path().join("plan.yaml"))?;
    std::fs::write(dir.path().join("plan.yaml"), text.replace("MODE: fast", "MODE: slow"))?;
    let retried = ran(dir.path(), &["retry", "r", "plan.yaml"])?;
    assert_eq!(retried.status.code(), Some(0), "{retried:?}");
    let why = printed(&ran(dir.path(), &["why", "r@2", "a"])?);
    assert!(why.contains("MODE"), "{why}");
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}
