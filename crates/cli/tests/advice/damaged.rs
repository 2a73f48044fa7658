//! What `doctor` advises about a state directory that is damaged, done to the letter.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::text;
use crate::plans::{Result, plan, ran, walk};

/// A directory with a run in `state`, a backup of it in `copy`, and an older one in `older`.
fn with_copies() -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  a: { shell: 'head -c 200000 /dev/zero' }\n")?;
    for (id, copy) in [("r1", "older"), ("r2", "copy")] {
        assert!(ran(dir.path(), &["run", "plan.yaml", "--id", id])?.status.success());
        assert!(ran(dir.path(), &["backup", copy])?.status.success());
    }
    Ok(dir)
}

/// What `doctor` advises about its problems; none if nothing is wrong.
fn advice(dir: &Path) -> Result<Vec<String>> {
    let examined = ran(dir, &["doctor", "--json"])?;
    let found: serde_json::Value = serde_json::from_slice(&examined.stdout)?;
    let checks = found["checks"].as_array().ok_or("no checks")?;
    let problems = checks.iter().filter(|check| check["state"] == "problem");
    let advice = problems.map(|check| check["do"].as_str().map(str::to_owned));
    let advice: Vec<String> = advice.collect::<Option<_>>().ok_or("a problem without advice")?;
    assert_eq!(examined.status.success(), advice.is_empty());
    Ok(advice)
}

fn restore(dir: &Path) -> Result {
    fs::remove_dir_all(dir.join("state"))?;
    assert!(Command::new("cp").args(["-a", "copy", "state"]).current_dir(dir).status()?.success());
    Ok(())
}

fn flip(file: &Path, at: usize) -> Result {
    let mut bytes = fs::read(file)?;
    *bytes.get_mut(at).ok_or("a short file")? ^= 1;
    Ok(fs::write(file, bytes)?)
}

fn remove_database(dir: &Path) -> Result {
    for file in walk(&dir.join("state"))? {
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ledger.db")) {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

type Damage = fn(&Path) -> Result;

const DAMAGES: [(&str, Damage, &str); 7] = [
    (
        "the head mark is gone",
        |dir| Ok(fs::remove_file(dir.join("state/head"))?),
        "restore the directory from a copy, or continue with --accept-missing-mark",
    ),
    (
        "the head mark is damaged",
        |dir| flip(&dir.join("state/head"), 5),
        "restore the directory from a copy, or continue with --accept-missing-mark",
    ),
    (
        "the database is an older one",
        |dir| {
            remove_database(dir)?;
            fs::copy(dir.join("older/ledger.db"), dir.join("state/ledger.db"))?;
            Ok(())
        },
        "restore the directory from a copy, or continue with --accept-shorter",
    ),
    (
        "the database is gone",
        remove_database,
        "restore `ledger.db` and `blobs` from a copy; --accept-shorter starts over, and everything is lost",
    ),
    (
        "the database is none",
        |dir| flip(&dir.join("state/ledger.db"), 5),
        "keep the directory as evidence, and restore a copy",
    ),
    (
        "a blob is damaged",
        |dir| flip(walk(&dir.join("state/blobs"))?.first().ok_or("no blob")?, 10),
        "see each finding; do not remove anything by hand",
    ),
    (
        "something is in the place of the socket",
        |dir| Ok(fs::write(dir.join("state/api.sock"), "")?),
        "move it away; no engine can listen while it is there",
    ),
];

#[test]
fn a_damaged_directory_is_sound_again_after_what_doctor_advises() -> Result {
    let dir = with_copies()?;
    let dir = dir.path();
    for (what, damage, advised) in DAMAGES {
        damage(dir)?;
        let found = advice(dir)?;
        assert_eq!(found.first().map(String::as_str), Some(advised), "{what}");
        if what == "the database is gone" {
            let said = text(&ran(dir, &["status"])?.stderr);
            let hint = "hint: there was one; `antiphon doctor` says what is safe to do\n";
            assert!(said.ends_with(hint), "{said}");
        }
        if let Some((_, flag)) = advised.split_once("--accept-") {
            let flag = flag.split(' ').next().unwrap_or_default();
            let accepted = ran(dir, &["doctor", &format!("--accept-{flag}")])?;
            assert!(accepted.status.success(), "{what}: {accepted:?}");
            assert_eq!(advice(dir)?, <[&str; 0]>::default(), "{what}");
            let run = ran(dir, &["do", "--", "true"])?;
            assert!(run.status.success(), "{what}: {run:?}");
        }
        if advised.starts_with("move it away") {
            fs::rename(dir.join("state/api.sock"), dir.join("moved"))?;
        } else {
            restore(dir)?;
        }
        assert_eq!(advice(dir)?, <[&str; 0]>::default(), "{what}");
        assert!(ran(dir, &["do", "--", "true"])?.status.success(), "{what}");
        restore(dir)?;
    }
    Ok(())
}
