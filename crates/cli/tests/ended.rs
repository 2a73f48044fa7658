//! An id whose run has ended: nothing is carried out, which is said; its result and its exit code are
//! those that it had.

use std::path::Path;

use crate::plans::{self, Ran, Result, plan, ran};

/// What a command printed where a run had ended, with the time of its end taken out.
fn told(output: &Ran) -> Result<(String, String, Option<i32>)> {
    let errors = String::from_utf8(output.stderr.clone())?;
    let timeless = |word: &str| match word.len() >= 20 && word.contains("Z;") {
        true => "TIME;".to_owned(),
        false => word.to_owned(),
    };
    let errors: Vec<String> = errors.split(' ').map(timeless).collect();
    Ok((String::from_utf8(output.stdout.clone())?, errors.join(" "), output.status.code()))
}

fn sessions(dir: &Path) -> Result<usize> {
    Ok(std::fs::read_to_string(dir.join("ran"))?.lines().count())
}

const FAILS: &str = "  a: { shell: 'echo ran >> ran; false', retry: { attempts: 1 } }\n";

#[test]
fn a_run_that_has_ended_shows_its_result_without_its_story_and_nothing_runs() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), FAILS)?;
    let first = ran(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(first.status.code(), Some(7));
    let story = String::from_utf8(first.stdout)?;
    let result: Vec<&str> = story.lines().rev().take(5).collect();
    let result: String = result.iter().rev().map(|line| format!("{line}\n")).collect();
    let said = "r has ended: failed at TIME; nothing was run now; `antiphon retry r` carries out what \
                did not succeed";
    let again = "; the same command with --again runs all of it again\n";
    for (command, more) in [
        (&["run", "plan.yaml", "--id", "r"][..], again),
        (&["resume", "r"], "\n"),
        (&["attach", "r"], "\n"),
    ] {
        let told = told(&ran(dir.path(), command)?)?;
        assert_eq!(told, (result.clone(), format!("{said}{more}"), Some(7)), "{command:?}");
    }
    let json = ran(dir.path(), &["run", "--json", "plan.yaml", "--id", "r"])?;
    let last: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    assert_eq!((&last["type"], json.status.code()), (&"coordination.completed".into(), Some(7)));
    assert_eq!(sessions(dir.path())?, 1);
    // Another plan under its id is refused, and what carries it out all the same is named.
    plan(dir.path(), "  b: { command: ['true'] }\n")?;
    for detach in [&[][..], &["--detach"]] {
        let other = ran(dir.path(), &[&["run", "plan.yaml", "--id", "r"], detach].concat())?;
        assert_eq!(other.status.code(), Some(2), "{other:?}");
        let hint = "\nhint: it has ended: `antiphon retry r FILE` carries out what has changed since; \
                    the same command with --again runs all of it, under the next free id\n";
        assert!(String::from_utf8(other.stderr)?.ends_with(hint), "{detach:?}");
    }
    let again = ran(dir.path(), &["run", "plan.yaml", "--id", "r", "--again"])?;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    Ok(())
}

#[test]
fn a_command_that_has_ended_gives_the_same_code_and_runs_again_when_asked() -> Result {
    let dir = tempfile::tempdir()?;
    let command = ["--id", "r", "--", "sh", "-c", "echo ran >> ran; echo out; false"];
    let done = |before: &[&str]| ran(dir.path(), &[before, &command].concat());
    assert_eq!(done(&["do"])?.status.code(), Some(1));
    let (stdout, stderr, code) = told(&done(&["do"])?)?;
    assert_eq!((stdout.as_str(), code), ("", Some(1)));
    assert_eq!(
        stderr,
        "r has ended: failed at TIME; nothing was run now; `antiphon retry r` carries out what did \
         not succeed; the same command with --again runs all of it again\nfailed; `antiphon receipt show r`\n"
    );
    assert_eq!(sessions(dir.path())?, 1);
    let again = done(&["do", "--again"])?;
    assert_eq!((again.stdout.as_slice(), again.status.code()), (&b"out\n"[..], Some(1)));
    assert_eq!(sessions(dir.path())?, 2);
    let other = ["do", "--id", "r", "--", "echo", "other"];
    let refused = ran(dir.path(), &other)?;
    assert_eq!(refused.status.code(), Some(125));
    let hint = "\nhint: it has ended: the same command with --again runs all of it, under the next free id\n";
    let said = String::from_utf8(refused.stderr)?;
    assert!(said.ends_with(hint) && !said.contains("antiphon retry"), "{said}");
    let again = ran(dir.path(), &["do", "--again", "--id", "r", "--", "echo", "other"])?;
    assert_eq!((again.stdout.as_slice(), again.status.code()), (&b"other\n"[..], Some(0)));
    Ok(())
}

#[test]
fn a_run_that_is_started_again_has_the_next_free_id() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), FAILS)?;
    let run = |id: &str| ran(dir.path(), &["run", "plan.yaml", "--again", "--id", id]);
    // Nothing has the id yet; then each has the number after the last.
    for id in ["r", "r", "r@2", "r"] {
        assert_eq!(run(id)?.status.code(), Some(7));
    }
    let listed = String::from_utf8(ran(dir.path(), &["list", "--json"])?.stdout)?;
    let ids: Vec<String> = listed
        .lines()
        .map(|line| Ok(serde_json::from_str::<serde_json::Value>(line)?["id"].to_string()))
        .collect::<Result<_>>()?;
    assert_eq!(ids, ["\"r@4\"", "\"r@3\"", "\"r@2\"", "\"r\""]);
    assert_eq!(sessions(dir.path())?, 4);
    assert_eq!(ran(dir.path(), &["verify", "r@3"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn what_is_unfinished_is_not_started_again() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  a: { shell: 'echo > runs; sleep 300' }\n")?;
    plans::pipe(dir.path(), "runs")?;
    let run = plans::Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    plans::heard(&dir.path().join("runs"))?;
    run.signal(rustix::process::Signal::TERM)?;
    assert_eq!(run.end()?.status.code(), Some(8));
    let refused = ran(dir.path(), &["run", "plan.yaml", "--id", "r", "--again"])?;
    assert_eq!(
        (String::from_utf8(refused.stderr)?.as_str(), refused.status.code()),
        (
            "error: r is unfinished\nhint: `antiphon resume r` continues it; `antiphon cancel r` \
             ends it\n",
            Some(2)
        )
    );
    Ok(())
}

/// A nested run is run again by the one that it is in.
#[test]
fn a_nested_run_that_has_ended_names_the_run_that_is_retried() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), FAILS)?;
    std::fs::rename(dir.path().join("plan.yaml"), dir.path().join("inner.yaml"))?;
    plan(dir.path(), "  sub: { plan: inner.yaml, retry: { attempts: 1 } }\n")?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml", "--id", "top"])?.status.code(), Some(7));
    let (stdout, stderr, code) = told(&ran(dir.path(), &["resume", "top.1"])?)?;
    assert_eq!(
        (stderr.as_str(), code),
        ("top.1 has ended: failed at TIME; nothing was run now\n", Some(7))
    );
    let advice = stdout.lines().filter(|line| line.contains("antiphon retry"));
    assert_eq!(
        advice.collect::<Vec<_>>(),
        ["`antiphon retry top` runs again what did not succeed"]
    );
    assert_eq!(sessions(dir.path())?, 1);
    Ok(())
}
