//! The hints of `antiphon plan check`, followed: transcripts of a plan, what is said of it, and the
//! plan with the hint applied.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::plans::{Result, ran};

/// Before the items of a plan that is nothing but items.
const HEADING: &str = "name: p\nbudget: { sessions: 20, duration: 10m }\nwork:\n";

const CASE: &str = "=== ";
const MENDED: &str = "--- mended";
const CHECKED: &str = "--- antiphon plan check\n";

/// What a mended plan may still be told.
const NEXT: &str = "(the next: ";

/// A directory with what the plans name.
fn surroundings() -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    for file in ["step.py", "contract.json", "prompt.md"] {
        std::fs::write(dir.path().join(file), "0")?;
    }
    let inner = format!("{HEADING}  a: {{ command: [make] }}\n");
    std::fs::write(dir.path().join("inner.yaml"), inner)?;
    Ok(dir)
}

/// What is said of a plan, and whether it can be run.
fn checked(dir: &Path, plan: &str) -> Result<(String, bool)> {
    let items = plan.starts_with("  ");
    let plan = if items { format!("{HEADING}{plan}") } else { plan.to_owned() };
    std::fs::write(dir.join("plan.yaml"), plan)?;
    let checked = ran(dir, &["plan", "check", "plan.yaml"])?;
    let said = [checked.stdout, checked.stderr].concat();
    Ok((String::from_utf8(said)?, checked.status.success()))
}

/// The hints in what is said of a plan.
fn hints(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.split_once("= hint: ")).map(|(_, hint)| hint).collect()
}

/// A case with what is said now.
fn followed(dir: &Path, case: &str) -> Result<String> {
    let mut steps = case.split(MENDED);
    let (title, refused) = steps.next().and_then(|step| step.split_once('\n')).ok_or("no plan")?;
    let plan_of = |text: &str| text.split(CHECKED).next().unwrap_or_default().to_owned();
    let refused = plan_of(refused);
    let (said, can_be_run) = checked(dir, &refused)?;
    assert!(!can_be_run && !hints(&said).is_empty(), "{title}: no hint:\n{said}");
    let mut transcript = format!("{CASE}{title}\n{refused}{CHECKED}{said}");
    for step in steps {
        let (note, plan) = step.split_once('\n').ok_or("no plan")?;
        let plan = plan_of(plan);
        let (then, can_be_run) = checked(dir, &plan)?;
        let expected = !note.contains(NEXT);
        let repeated = hints(&then).iter().any(|hint| hints(&said).contains(hint));
        assert!(can_be_run == expected && !repeated, "{title}: followed:\n{plan}\n{said}\n{then}");
        write!(transcript, "{MENDED}{note}\n{plan}{CHECKED}{then}")?;
    }
    Ok(transcript)
}

/// Compares with a file; with `UPDATE_TRANSCRIPTS` set, writes it.
#[test]
fn every_hint_about_a_plan_makes_the_plan_one_that_can_be_run() -> Result {
    let dir = surroundings()?;
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/advice/plan");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(transcripts)? {
        files.push(entry?.path());
    }
    files.sort();
    assert_eq!(files.len(), 4);
    for file in files {
        let expected = std::fs::read_to_string(&file)?;
        let mut found = String::new();
        for case in expected.split(CASE).skip(1) {
            found.push_str(&followed(dir.path(), case)?);
        }
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            std::fs::write(&file, &found)?;
        } else {
            assert!(found == expected, "{}: found:\n{found}", file.display());
        }
    }
    Ok(())
}
