//! `antiphon prune`: what ended runs have left is erased, and the rest goes on.

use std::path::Path;

#[cfg(feature = "crash-points")]
use crate::plans::{self, antiphon};
use crate::plans::{Ran, Result, Running, heard, pipe, plan, ran, say, walk};

/// What is said below the receipt of a run that was pruned.
const ERASED: &str = "\nThe payloads of this run were erased. The receipt is as it was recorded; it cannot be rebuilt\nfrom the events any more, and only its hash can be compared.\n";

/// Two items, of which one is a nested plan, that put out and print what nobody else does.
fn nightly(dir: &Path) -> Result {
    plans::plan_with(
        dir,
        "child.yaml",
        "budget: { sessions: 3, duration: 5m }",
        "  c: { shell: 'echo CANARY-printed; head -c 100000 /dev/zero' }\n",
    )?;
    plan(
        dir,
        "  a: { shell: 'echo \"{\\\"output\\\": \\\"CANARY-value\\\"}\" > $ANTIPHON_RESULT' }\n  \
         b: { plan: child.yaml, needs: [a] }\n  c: { shell: 'exit 3', needs: [b], critical: false }\n",
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(ran: &Ran) -> Option<i32> {
    ran.status.code()
}

/// What `status` shows of it once it is pruned: its end, and nothing that is not known any more.
const PRUNED: &str = "\
run r (test)
status partial
started <time>, <time> ago
ended <time>, took <time>
items 2 ok, 1 failed
note: of what happened from version 2 on, only the end is known; that version cannot be read: its payload was erased

sessions ██░░░░░░ 5/20 time ░░░░░░░░ <time>/5m00s tokens 0 cost 0.00
";

/// Each line without its times, its words one space apart.
fn without_times(text: &str) -> String {
    let mask = |word: &str| {
        let bare = word.trim_end_matches(',');
        let is_age = |text: &str| text.strip_suffix('s').is_some_and(|n| n.parse::<f64>().is_ok());
        match bare.split_once('/') {
            Some((used, ceiling)) if is_age(used) => format!("<time>/{ceiling}"),
            _ if is_age(bare) || bare.len() == 24 && bare.ends_with('Z') => {
                word.replace(bare, "<time>")
            }
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split_whitespace().map(mask).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

/// The files below the state directory in which a text occurs.
fn holding(dir: &Path, canary: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for file in walk(&dir.join("state"))? {
        // The socket is no file that can be read.
        let Ok(bytes) = std::fs::read(&file) else { continue };
        if bytes.windows(canary.len()).any(|window| window == canary.as_bytes()) {
            found.push(file);
        }
    }
    Ok(found)
}

fn json(ran: &Ran) -> Result<serde_json::Value> {
    Ok(serde_json::from_slice(&ran.stdout)?)
}

#[test]
fn what_runs_have_left_is_gone_and_their_ids_ends_and_receipts_stay() -> Result {
    let dir = tempfile::tempdir()?;
    nightly(dir.path())?;
    let run = |id: &str| ran(dir.path(), &["run", "plan.yaml", "--id", id]);
    let ended = run("r")?;
    let receipt = || json(&ran(dir.path(), &["receipt", "show", "r", "--json"])?);
    let shown = || {
        Ok::<_, Box<dyn std::error::Error>>(text(
            &ran(dir.path(), &["receipt", "show", "r"])?.stdout,
        ))
    };
    let (recorded, told) = (receipt()?, shown()?);
    let listed = ran(dir.path(), &["list", "--json"])?.stdout;
    assert_ne!(holding(dir.path(), "CANARY")?, <[&Path; 0]>::default());

    let pruned = ran(dir.path(), &["prune", "--keep", "0"])?;
    assert_eq!(code(&pruned), Some(0), "{}", text(&pruned.stderr));
    let said = text(&pruned.stdout);
    assert!(said.starts_with("pruned 1 run, with 1 nested run in them: r\n"), "{said}");
    assert!(said.contains(" MiB in use before, "), "{said}");
    assert_eq!(holding(dir.path(), "CANARY")?, <[&Path; 0]>::default());

    let verified = ran(dir.path(), &["verify"])?;
    let report = text(&verified.stdout);
    assert!(report.contains("`coordination/r`: not rebuildable: ") && report.ends_with("sound\n"));
    assert_eq!(ran(dir.path(), &["list", "--json"])?.stdout, listed);
    assert_eq!(code(&run("r")?), code(&ended), "its id stays taken");
    assert_eq!(receipt()?, recorded);
    assert_eq!(shown()?, told + ERASED);
    assert_eq!(without_times(&text(&ran(dir.path(), &["status", "r"])?.stdout)), PRUNED);
    let attached = ran(dir.path(), &["attach", "r"])?;
    let (said, told) = (text(&attached.stdout), text(&attached.stderr));
    assert!(said.contains(", 5 sessions\n"), "{said}");
    assert!(said.contains(", not rebuilt: what it was made of was erased\n"), "{said}");
    let erased = "error: what was recorded of the items of r was erased\nhint: `antiphon receipt show r` shows how it ended\n";
    for words in [&["output", "r", "a"][..], &["show", "r", "a"], &["why", "r", "a"], &["why", "r"]]
    {
        let told = ran(dir.path(), words)?;
        assert_eq!((text(&told.stderr).as_str(), code(&told)), (erased, Some(3)), "{words:?}");
    }
    assert!(!format!("{said}{told}").contains("antiphon retry"), "{said}{told}");
    let nothing = ran(dir.path(), &["prune", "--keep", "0"])?;
    assert_eq!(text(&nothing.stdout), "nothing to prune\n");
    Ok(())
}

#[test]
fn both_limits_must_hold_and_a_dry_run_changes_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    for id in ["first", "second", "third"] {
        assert_eq!(code(&ran(dir.path(), &["do", "--id", id, "echo", "same"])?), Some(0));
    }
    let ids = |arguments: &[&str]| -> Result<serde_json::Value> {
        let line = [&["prune", "--json"], arguments].concat();
        Ok(json(&ran(dir.path(), &line)?)?["ids"].clone())
    };
    let database = || std::fs::read(dir.path().join("state/ledger.db"));
    let before = database()?;
    let unlimited = ran(dir.path(), &["prune"])?;
    assert_eq!(code(&unlimited), Some(0));
    let told =
        "would prune 3 runs: first, second, third\n9 payloads and 2 blobs to be erased, 0.1 MiB\n";
    assert_eq!(text(&unlimited.stdout), told);
    let hint =
        "nothing was erased; say which runs may go with --older-than 30d, --keep 20, or both\n";
    assert_eq!(text(&unlimited.stderr), hint);
    assert_eq!(ids(&["--keep", "1", "--dry-run"])?, serde_json::json!(["first", "second"]));
    assert_eq!(ids(&["--older-than", "1h", "--dry-run"])?, serde_json::json!([]));
    assert_eq!(database()?, before);
    assert_eq!(ids(&["--older-than", "1h", "--keep", "0"])?, serde_json::json!([]));
    let both = ids(&["--older-than", "1ms", "--keep", "1", "--dry-run"])?;
    assert_eq!(both, serde_json::json!(["first", "second"]));
    assert_eq!(ids(&["--keep", "1"])?, serde_json::json!(["first", "second"]));
    // What the kept run shares with the others is there.
    assert_eq!(text(&ran(dir.path(), &["output", "third", "command"])?.stdout), "same\n");
    let report = text(&ran(dir.path(), &["verify"])?.stdout);
    assert!(report.contains("1 receipt rebuilt"), "{report}");
    Ok(())
}

#[test]
fn the_engine_that_runs_prunes_and_what_it_carries_out_goes_on() -> Result {
    let dir = tempfile::tempdir()?;
    assert_eq!(code(&ran(dir.path(), &["do", "--id", "old", "echo", "CANARY-old"])?), Some(0));
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    let script = "echo > runs; read word < ends; echo $word";
    let going = Running::start(dir.path(), &["do", "--id", "going", "--", "sh", "-c", script])?;
    heard(&runs)?;
    let pruned = json(&ran(dir.path(), &["prune", "--keep", "0", "--json"])?)?;
    assert_eq!(pruned["ids"], serde_json::json!(["old"]));
    assert_eq!(holding(dir.path(), "CANARY")?, <[&Path; 0]>::default());
    say(&ends, "done")?;
    let ended = going.end()?;
    assert_eq!((code(&ended), text(&ended.stdout).as_str()), (Some(0), "done\n"));
    assert_eq!(code(&ran(dir.path(), &["verify"])?), Some(0));
    Ok(())
}

#[test]
fn what_is_unfinished_stays_and_can_be_resumed() -> Result {
    let dir = tempfile::tempdir()?;
    let runs = pipe(dir.path(), "runs")?;
    plan(
        dir.path(),
        "  a: { shell: 'test -e once || { touch once; echo > runs; sleep 300; }' }\n",
    )?;
    let mut run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&runs)?;
    run.kill()?;
    let pruned = ran(dir.path(), &["prune", "--keep", "0"])?;
    assert_eq!(text(&pruned.stdout), "nothing to prune\n");
    assert_eq!(code(&ran(dir.path(), &["resume", "r"])?), Some(0));
    Ok(())
}

#[test]
#[cfg(feature = "crash-points")]
fn one_that_is_killed_leaves_a_sound_ledger_and_the_next_goes_on() -> Result {
    let dir = tempfile::tempdir()?;
    for n in 0..3 {
        let lines = format!("seq {} | sed s/^/CANARY/", 10 + n);
        let done = ran(dir.path(), &["do", "--id", &format!("r{n}"), "--", "sh", "-c", &lines])?;
        assert_eq!(code(&done), Some(0));
    }
    // The first append says who has the ledger, the second erases.
    for point in ["append.before:2", "append.after:2"] {
        let killed = antiphon(dir.path(), &["prune", "--keep", "0"])
            .env("ANTIPHON_CRASH_AT", point)
            .output()?;
        assert_eq!(killed.status.code(), None, "{point}: {killed:?}");
        let verified = ran(dir.path(), &["verify"])?;
        assert_eq!(code(&verified), Some(0), "{point}: {}", text(&verified.stdout));
    }
    assert_eq!(code(&ran(dir.path(), &["prune", "--keep", "0"])?), Some(0));
    assert_eq!(holding(dir.path(), "CANARY")?, <[&Path; 0]>::default());
    let verified = ran(dir.path(), &["verify"])?;
    assert_eq!(code(&verified), Some(0), "{}", text(&verified.stdout));
    Ok(())
}
