//! Runs that have ended, carried out again as far as that is needed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::plans::{self, Ran, Result, Running, heard, pipe, plan, plan_with, ran, say};

/// What was printed on standard error, without the last line of a retry that ended, and the exit
/// code.
fn told(output: &Ran) -> Result<(String, Option<i32>)> {
    let errors = String::from_utf8(output.stderr.clone())?;
    let lines = errors.split_inclusive('\n').filter(|line| !line.ends_with(" ran again\n"));
    Ok((lines.collect(), output.status.code()))
}

/// The items that sessions ran, in order; what ran before is forgotten.
fn carried_out(dir: &Path) -> Result<String> {
    let ran = std::fs::read_to_string(dir.join("ran")).unwrap_or_default();
    std::fs::write(dir.join("ran"), "")?;
    Ok(ran.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Carries a plan out as `r`.
fn first(dir: &Path, code: i32) -> Result<String> {
    let run = ran(dir, &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(run.status.code(), Some(code), "{run:?}");
    carried_out(dir)
}

/// Three items in a row, of which the second fails as long as a file is missing, and one beside
/// them.
const CHAIN: &str = "  a: { shell: 'echo a >> ran' }\n  b: { shell: 'echo b >> ran; test -e mended', needs: [a], retry: { attempts: 1 } }\n  c: { shell: 'echo c >> ran', needs: [b] }\n  d: { shell: 'echo d >> ran' }\n";

#[test]
fn what_failed_runs_again_with_what_needs_it_and_the_rest_is_taken_over() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, CHAIN)?;
    assert_eq!(first(dir, 6)?, "a b d");
    std::fs::write(dir.join("mended"), "")?;
    let retry = ran(dir, &["retry", "r"])?;
    assert_eq!(
        (String::from_utf8(retry.stderr)?.as_str(), retry.status.code()),
        (
            "r@2: 2 items taken over from r, 2 run again: 1 failed, 1 skipped\n2 items taken over \
             from r, 2 ran again\n",
            Some(0)
        )
    );
    assert_eq!(carried_out(dir)?, "b c");
    let why = |item: &str| -> Result<String> {
        Ok(String::from_utf8(ran(dir, &["why", "r@2", item])?.stdout)?)
    };
    assert_eq!(
        why("b")?,
        "b: it has succeeded; this retry of r carries it out: it failed before\n"
    );
    assert_eq!(
        why("a")?,
        "a: session r.1 carried it out; it succeeded as a of run r and was taken over from there\n"
    );
    let status = String::from_utf8(ran(dir, &["status", "r@2"])?.stdout)?;
    for line in
        ["a     succeeded  -        -     taken over from a of r", "b     succeeded  1        "]
    {
        assert!(status.lines().any(|found| found.starts_with(line)), "{line}\n{status}");
    }
    // Of a retry, too; what was taken over once is taken over again.
    assert_eq!(
        told(&ran(dir, &["retry", "r@2", "--item", "d"])?)?,
        (
            "r@3: 3 items taken over from r@2 (carried out before that: 1 in r), 1 runs again: \
             1 asked for\n"
                .to_owned(),
            Some(0)
        )
    );
    assert_eq!(carried_out(dir)?, "d");
    Ok(())
}

#[test]
fn what_is_taken_over_twice_names_who_carried_it_out_and_is_verified_with_all_that_it_rests_on()
-> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, CHAIN)?;
    assert_eq!(first(dir, 6)?, "a b d");
    std::fs::write(dir.join("mended"), "")?;
    assert_eq!(ran(dir, &["retry", "r"])?.status.code(), Some(0));
    let third = ran(dir, &["retry", "r@2", "--item", "d"])?;
    let last = String::from_utf8(third.stderr)?;
    assert!(
        last.ends_with(
            "\n3 items taken over from r@2 (carried out before that: 1 in r), 1 ran again\n"
        ),
        "{last}"
    );

    let said = |arguments: &[&str]| -> Result<String> {
        Ok(String::from_utf8(ran(dir, arguments)?.stdout)?)
    };
    // `a` is from the first run, `b` from the second.
    let why = said(&["why", "r@3", "a"])?;
    let text =
        "session r.1 carried it out; it succeeded as a of run r@2 and was taken over from there";
    assert_eq!(why, format!("a: {text}\n"));
    let show = said(&["show", "r@3", "a"])?;
    assert!(show.contains("from a of r@2; session r.1 carried it out\n"), "{show}");
    let show = said(&["show", "r@3", "b"])?;
    assert!(show.contains("from b of r@2; session r@2.1 carried it out\n"), "{show}");
    let item: serde_json::Value = serde_json::from_str(&said(&["show", "r@3", "a", "--json"])?)?;
    assert_eq!(item["reused"], serde_json::json!({ "run": "r@2", "item": "a", "session": "r.1" }));
    let status = said(&["status", "r@3"])?;
    let told = "taken over from a of r@2; session r.1 carried it out";
    assert!(status.contains(told), "{status}");
    let receipt = said(&["receipt", "show", "r@3"])?;
    let row = |item: &str| {
        let mut rows = receipt.lines().map(str::split_whitespace);
        rows.find_map(|mut row| (row.next() == Some(item)).then(|| row.nth(2).map(str::to_owned)))
    };
    assert_eq!(
        ["a", "b", "d"].map(|item| row(item).flatten()),
        ["r.1", "r@2.1", "1"].map(|session| Some(session.to_owned())),
        "{receipt}"
    );

    let verified = |run: &str| -> Result<Vec<String>> {
        Ok(said(&["verify", run])?.lines().map(str::to_owned).collect())
    };
    assert_eq!(
        verified("r@3")?[1..],
        ["3 receipts rebuilt, 0 payloads erased", "forerunners verified: r@2, r", "sound"]
    );
    assert_eq!(
        verified("r@2")?[1..],
        ["2 receipts rebuilt, 0 payloads erased", "forerunners verified: r", "sound"]
    );
    assert_eq!(verified("r")?[1..], ["1 receipt rebuilt, 0 payloads erased", "sound"]);
    Ok(())
}

/// Whoever looks at a retry learns what whoever started it was told.
#[test]
fn who_attaches_to_a_retry_or_resumes_it_is_told_what_it_took_over() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, "  e: { shell: 'true' }\n  inner: { plan: inner.yaml, retry: { attempts: 1 } }\n")?;
    plan_with(
        dir,
        "inner.yaml",
        "budget: { sessions: 9, duration: 5m }",
        "  a: { shell: 'true' }\n  b: { shell: 'test -e mended || exit 1; echo > runs; sleep 300', needs: [a], retry: { attempts: 1 } }\n  c: { shell: 'true', needs: [b] }\n",
    )?;
    pipe(dir, "runs")?;
    assert_eq!(ran(dir, &["run", "plan.yaml", "--id", "r"])?.status.code(), Some(6));
    std::fs::write(dir.join("mended"), "")?;
    // What is nested counts, also where it has not come to it yet.
    let expected = "r@2: 2 items taken over from r, 2 run again";
    let retry = Running::start(dir, &["retry", "r"])?;
    heard(&dir.join("runs"))?;
    let first_line = |mut run: Running| -> Result<(Running, String)> {
        let errors = run.0.stderr.as_mut().ok_or("no standard error")?;
        let line = BufReader::new(errors).lines().next().ok_or("it told nothing")??;
        Ok((run, line))
    };
    let (guest, line) = first_line(Running::start(dir, &["attach", "r@2"])?)?;
    assert_eq!(line, expected);
    drop(guest);
    retry.signal(rustix::process::Signal::TERM)?;
    let retry = retry.end()?;
    assert_eq!(retry.status.code(), Some(8));
    let told = String::from_utf8(retry.stderr)?;
    assert!(told.starts_with(&format!("{expected}: 1 failed, 1 skipped\n")), "{told}");
    let (resumed, line) = first_line(Running::start(dir, &["resume", "r@2"])?)?;
    assert_eq!(line, expected);
    heard(&dir.join("runs"))?;
    resumed.signal(rustix::process::Signal::TERM)?;
    assert_eq!(resumed.end()?.status.code(), Some(8));
    Ok(())
}

#[test]
fn a_run_without_anything_to_do_again_or_that_has_not_ended_is_not_retried() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, "  a: { shell: 'echo a >> ran' }\n  bee: { shell: 'echo bee >> ran' }\n")?;
    assert_eq!(first(dir, 0)?, "a bee");
    let nothing = "error: there is nothing to run again: every item of r succeeded and is unchanged; \
                   name items that are to run all the same\nhint: `antiphon retry r --item NAME` \
                   runs an item all the same, and `antiphon run PLAN --id r --again` everything\n";
    assert_eq!(told(&ran(dir, &["retry", "r"])?)?, (nothing.to_owned(), Some(2)));
    let unknown = "error: there is no item bea in the plan of r; did you mean bee?\nhint: `antiphon \
                   status r` shows its items\n";
    assert_eq!(told(&ran(dir, &["retry", "r", "--item", "bea"])?)?, (unknown.to_owned(), Some(2)));
    assert_eq!(told(&ran(dir, &["retry", "s"])?)?.1, Some(2));
    pipe(dir, "runs")?;
    plan(dir, "  a: { shell: 'echo > runs; sleep 300' }\n")?;
    let run = Running::start(dir, &["run", "plan.yaml", "--id", "s"])?;
    heard(&dir.join("runs"))?;
    run.signal(rustix::process::Signal::TERM)?;
    assert_eq!(run.end()?.status.code(), Some(8));
    let unended = "error: run s has not ended; `antiphon resume s` continues it, and `antiphon cancel \
                   s` ends it\n";
    assert_eq!(told(&ran(dir, &["retry", "s"])?)?, (unended.to_owned(), Some(2)));
    assert_eq!(carried_out(dir)?, "");
    assert_eq!(ran(dir, &["list", "--json"])?.stdout.split(|byte| *byte == b'\n').count(), 3);
    Ok(())
}

#[test]
fn an_edited_plan_runs_what_has_changed_and_its_budget_counts_only_that() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, CHAIN)?;
    std::fs::write(dir.join("mended"), "")?;
    assert_eq!(first(dir, 0)?, "a b c d");
    // Two sessions would not be enough for all four items.
    let edited = CHAIN.replace("echo d", "echo new d").replace("echo c", "echo new c");
    plan_with(dir, "plan.yaml", "budget: { sessions: 2, duration: 5m }", &edited)?;
    assert_eq!(
        told(&ran(dir, &["retry", "r", "plan.yaml", "--failed"])?)?,
        (
            "error: there is nothing to run again: every item of r succeeded; 2 have changed since, \
             but only what failed was asked for\nhint: the same command without --failed runs what \
             has changed, `antiphon retry r --item NAME` runs an item all the same, and `antiphon \
             run PLAN --id r --again` everything\n"
                .to_owned(),
            Some(2)
        )
    );
    assert_eq!(
        told(&ran(dir, &["retry", "r", "plan.yaml"])?)?,
        ("r@2: 2 items taken over from r, 2 run again: 2 changed\n".to_owned(), Some(0))
    );
    assert_eq!(carried_out(dir)?, "new c new d");
    plan_with(dir, "plan.yaml", "budget: { sessions: 1, duration: 5m }", &edited)?;
    let few = told(&ran(dir, &["retry", "r", "plan.yaml"])?)?;
    assert_eq!(
        few,
        (
            "error: 1 session cannot be enough for the 2 items that run again, each of which takes \
             at least one; raise `sessions` in the plan\n"
                .to_owned(),
            Some(2)
        )
    );
    assert_eq!(ran(dir, &["run", "plan.yaml"])?.status.code(), Some(5), "a run needs all of them");
    std::fs::write(dir.join("plan.yaml"), "name: test\n")?;
    assert_eq!(ran(dir, &["retry", "r", "plan.yaml"])?.status.code(), Some(5));
    Ok(())
}

#[test]
fn only_what_failed_runs_where_that_is_asked_for_and_the_rest_is_recorded_as_it_was() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, CHAIN)?;
    assert_eq!(first(dir, 6)?, "a b d");
    let edited = CHAIN.replace("test -e mended", "true").replace("echo d", "echo new d");
    plan(dir, &edited)?;
    assert_eq!(
        told(&ran(dir, &["retry", "r", "plan.yaml", "--failed"])?)?,
        (
            "r@2: 2 items taken over from r (1 changed since), 2 run again: 1 failed, 1 skipped\n"
                .to_owned(),
            Some(0)
        )
    );
    assert_eq!(carried_out(dir)?, "b c");
    assert_eq!(ran(dir, &["verify", "r@2"])?.status.code(), Some(0));
    // What was left as it was is still another one in the plan.
    assert_eq!(
        told(&ran(dir, &["retry", "r@2", "plan.yaml"])?)?,
        (
            "r@3: 3 items taken over from r@2 (carried out before that: 1 in r), 1 runs again: \
             1 changed\n"
                .to_owned(),
            Some(0)
        )
    );
    assert_eq!(carried_out(dir)?, "new d");
    Ok(())
}

#[test]
fn a_run_that_was_stopped_by_its_breaker_budget_or_a_person_is_carried_to_its_end() -> Result {
    let cells = |keys: &str| {
        format!(
            "  m: {{ shell: 'echo m >> ran; {keys}', retry: {{ attempts: 1 }}, matrix: {{ x: [1, 2, 3, 4, 5, 6] }}, env: {{ X: '{{{{x}}}}' }} }}\n"
        )
    };
    let dir = tempfile::tempdir()?;
    plan_with(
        dir.path(),
        "plan.yaml",
        "budget: { sessions: 9, duration: 5m }\nbreaker: { failures: 3 }",
        &cells("test -e mended || test $X = 1"),
    )?;
    assert_eq!(first(dir.path(), 10)?, "m m m m");
    std::fs::write(dir.path().join("mended"), "")?;
    let (said, code) = told(&ran(dir.path(), &["retry", "r"])?)?;
    assert_eq!(
        (said.as_str(), code),
        ("r@2: 1 item taken over from r, 5 run again: 3 failed, 2 unfinished\n", Some(0))
    );

    let dir = tempfile::tempdir()?;
    let again = "test -e mended || { touch mended; false; }";
    let budget = "budget: { sessions: 6, duration: 5m }\nretry: { attempts: 2 }";
    plan_with(
        dir.path(),
        "plan.yaml",
        budget,
        &cells(again).replace("retry: { attempts: 1 }, ", ""),
    )?;
    assert_eq!(first(dir.path(), 9)?, "m m m m m m");
    let (said, code) = told(&ran(dir.path(), &["retry", "r"])?)?;
    assert_eq!(
        (said.as_str(), code),
        ("r@2: 5 items taken over from r, 1 runs again: 1 unfinished\n", Some(0))
    );

    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    let held = "echo $X > runs; test -e mended || sleep 300";
    plan(dir.path(), &cells(&format!("test $X = 1 || {{ {held}; }}")))?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&dir.path().join("runs"))?;
    assert_eq!(ran(dir.path(), &["cancel", "r"])?.status.code(), Some(0));
    assert_eq!(run.end()?.status.code(), Some(8));
    std::fs::remove_file(dir.path().join("runs"))?;
    std::fs::write(dir.path().join("mended"), "")?;
    let (said, code) = told(&ran(dir.path(), &["retry", "r"])?)?;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("r@2: 1 item taken over from r, 5 run again: "), "{said}");
    Ok(())
}

#[test]
fn a_nested_plan_is_gone_into_and_items_are_named_in_it() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan_with(dir, "inner.yaml", "budget: { sessions: 9, duration: 5m }", CHAIN)?;
    plan(
        dir,
        "  inner: { plan: inner.yaml, retry: { attempts: 1 } }\n  m: { command: [sh, -c, 'echo m >> ran'], matrix: { x: [1, 2] }, env: { X: '{{x}}' } }\n",
    )?;
    assert_eq!(first(dir, 6)?, "a b d m m");
    std::fs::write(dir.join("mended"), "")?;
    for (retry, said, again) in [
        (
            &["retry", "r"][..],
            "r@2: 4 items taken over from r, 2 run again: 1 failed, 1 skipped\n",
            "b c",
        ),
        (
            &["retry", "r@2", "--item", "inner/d", "--item", "m[2]"],
            "r@3: 4 items taken over from r@2 (carried out before that: 1 in r, 1 in r.1), 2 run \
             again: 2 asked for\n",
            "d m",
        ),
        // The nested plan was taken over whole.
        (
            &["retry", "r@2", "--item", "m"],
            "r@4: 1 item taken over from r@2, 2 run again: 2 asked for\n",
            "m m",
        ),
        (
            &["retry", "r@4", "--item", "inner/b"],
            "r@5: 4 items taken over from r@4 (carried out before that: 2 in r.1), 2 run again: \
             1 asked for, 1 that need what runs again\n",
            "b c",
        ),
    ] {
        assert_eq!(told(&ran(dir, retry)?)?, (said.to_owned(), Some(0)), "{retry:?}");
        assert_eq!(carried_out(dir)?, again, "{retry:?}");
    }
    assert_eq!(ran(dir, &["verify"])?.status.code(), Some(0));
    let nested = told(&ran(dir, &["retry", "r@2.1"])?)?;
    assert_eq!(
        nested,
        (
            "error: run r@2.1 carries out an item of r@2; retry r@2, which goes into its nested plans\n"
                .to_owned(),
            Some(2)
        )
    );
    Ok(())
}

#[test]
fn a_retry_whose_engine_was_killed_is_resumed() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, CHAIN)?;
    assert_eq!(first(dir, 6)?, "a b d");
    pipe(dir, "runs")?;
    let held =
        CHAIN.replace("echo c >> ran", "echo c >> ran; test -e go || { echo > runs; sleep 300; }");
    plan(dir, &held)?;
    std::fs::write(dir.join("mended"), "")?;
    let mut retry = Running::start(dir, &["retry", "r", "plan.yaml"])?;
    heard(&dir.join("runs"))?;
    retry.kill()?;
    assert_eq!(carried_out(dir)?, "b c");
    std::fs::write(dir.join("go"), "")?;
    assert_eq!(ran(dir, &["resume", "r@2"])?.status.code(), Some(0));
    assert_eq!(carried_out(dir)?, "c");
    assert_eq!(ran(dir, &["verify", "r@2"])?.status.code(), Some(0));
    // Each retry has an id of its own.
    let second = ran(dir, &["retry", "r", "plan.yaml", "--detach"])?;
    assert_eq!(String::from_utf8(second.stdout)?, "r@3\n");
    assert_eq!(ran(dir, &["wait", "r@3"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_guest_of_a_running_engine_retries_there() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, CHAIN)?;
    assert_eq!(first(dir, 6)?, "a b d");
    std::fs::write(dir.join("mended"), "")?;
    pipe(dir, "runs")?;
    pipe(dir, "ends")?;
    plan(dir, "  only: { shell: 'echo now > runs; read line < ends' }\n")?;
    let mut host = Running::start(dir, &["run", "plan.yaml", "--id", "host"])?;
    heard(&dir.join("runs"))?;
    assert_eq!(told(&ran(dir, &["retry", "r"])?)?.1, Some(0));
    say(&dir.join("ends"), "now")?;
    let mut lines = BufReader::new(host.0.stdout.take().ok_or("no standard output")?).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.starts_with("succeeded in "))));
    assert_eq!(host.0.wait()?.code(), Some(0));
    assert_eq!(carried_out(dir)?, "b c");
    Ok(())
}

#[test]
fn the_recorded_plan_counts_with_its_inputs_as_they_are_now_and_a_changed_file_is_told() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    std::fs::write(dir.join("read.sh"), "cat \"$1\" > seen; echo reads >> ran\n")?;
    std::fs::write(dir.join("data"), "1")?;
    let items = "  reads: { command: [sh, read.sh, '{{input.data}}'], input: { data: data } }\n  fails: { shell: 'echo fails >> ran; test -e mended', retry: { attempts: 1 } }\n  same: { shell: 'echo same >> ran' }\n";
    plan(dir, items)?;
    assert_eq!(first(dir, 6)?, "reads fails same");
    std::fs::write(dir.join("mended"), "")?;
    std::fs::write(dir.join("data"), "2")?;
    plan(dir, &items.replace("echo same", "echo other"))?;
    let file = dir.join("plan.yaml");
    let file = file.display();
    assert_eq!(
        told(&ran(dir, &["retry", "r"])?)?,
        (
            format!(
                "note: {file} has changed since r was started, and its recorded plan is used; \
                 `antiphon retry r {file}` uses the file as it is now\nr@2: 1 item taken over from \
                 r, 2 run again: 1 changed, 1 failed\n"
            ),
            Some(0)
        )
    );
    assert_eq!(carried_out(dir)?, "reads fails");
    assert_eq!(std::fs::read_to_string(dir.join("seen"))?, "2");
    let (said, code) = told(&ran(dir, &["retry", "r@2", &file.to_string()])?)?;
    assert_eq!(
        (said.as_str(), code),
        ("r@3: 2 items taken over from r@2, 1 runs again: 1 changed\n", Some(0))
    );
    assert_eq!(carried_out(dir)?, "other");
    Ok(())
}

#[test]
fn a_large_input_is_told_by_what_it_holds() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    std::fs::File::create(dir.join("data"))?.set_len(100 << 20)?;
    plan(
        dir,
        "  reads: { shell: 'echo reads >> ran', input: { data: data } }\n  fails: { shell: 'echo fails >> ran; false', retry: { attempts: 1 } }\n",
    )?;
    assert_eq!(first(dir, 6)?, "reads fails");
    let told_of = |words: &[&str]| -> Result<String> {
        Ok(told(&ran(dir, words)?)?.0.lines().next().unwrap_or_default().to_owned())
    };
    let taken = "1 item taken over from r, 1 runs again: 1 failed";
    assert_eq!(told_of(&["retry", "r"])?, format!("r@2: {taken}"));
    assert_eq!(told_of(&["retry", "r", "plan.yaml"])?, format!("r@3: {taken}"));
    assert_eq!(carried_out(dir)?, "fails fails");
    let data = std::fs::File::options().write(true).open(dir.join("data"))?;
    std::os::unix::fs::FileExt::write_all_at(&data, b"1", 99 << 20)?;
    assert_eq!(
        told_of(&["retry", "r"])?,
        "r@4: nothing taken over, 2 run again: 1 changed, 1 failed"
    );
    Ok(())
}

#[test]
fn a_retry_is_started_where_it_is_typed_and_reads_the_secrets_of_the_plan_again() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(
        dir,
        "  only: { shell: 'test -e mended && echo $LANG $KEY >> ran', env: { KEY: { secret: API_KEY } }, retry: { attempts: 1 } }\n",
    )?;
    let with = |arguments: &[&str], language: &str| -> Result<Ran> {
        let mut command = plans::antiphon(dir, arguments);
        Ok(command.env("API_KEY", "not-to-be-told").env("LANG", language).output()?.into())
    };
    assert_eq!(with(&["run", "plan.yaml", "--id", "r"], "C")?.status.code(), Some(7));
    std::fs::write(dir.join("mended"), "")?;
    assert_eq!(with(&["retry", "r"], "C.UTF-8")?.status.code(), Some(0));
    assert_eq!(carried_out(dir)?, "C.UTF-8 not-to-be-told");
    Ok(())
}

#[test]
fn a_retry_whose_secret_is_missing_names_the_command_that_brings_it() -> Result {
    for again in [["r"].as_slice(), &["r", "plan.yaml"]] {
        let dir = tempfile::tempdir()?;
        let dir = dir.path();
        plan(
            dir,
            "  only: { shell: 'test -e mended && echo $KEY $OTHER >> ran', env: { KEY: { secret: API_KEY }, OTHER: { secret: OTHER } }, retry: { attempts: 1 } }\n",
        )?;
        // One of two secrets is not taken for both.
        let given = |arguments: &[&str], names: &[&str]| {
            let mut command = plans::antiphon(dir, arguments);
            command.envs(names.iter().map(|name| (name, "not-to-be-told")));
            command
        };
        let with_both = |arguments: &[&str]| -> Result<Ran> {
            Ok(given(arguments, &["API_KEY", "OTHER"]).output()?.into())
        };
        assert_eq!(with_both(&["run", "plan.yaml", "--id", "r"])?.status.code(), Some(7));
        std::fs::write(dir.join("mended"), "")?;
        let retry = [["retry"].as_slice(), again].concat();
        let mut retry = given(&retry, &["OTHER"]);
        let mut retry = Running(retry.stderr(std::process::Stdio::piped()).spawn()?);
        let mut errors = BufReader::new(retry.0.stderr.take().ok_or("no standard error")?).lines();
        let mut said = String::new();
        while !said.contains("cannot continue by itself") {
            said.push_str(&errors.next().ok_or(said.clone())??);
            said.push('\n');
        }
        assert_eq!(
            said,
            "r@2: nothing taken over, 1 runs again: 1 failed\n\
             note: r@2 waits for a secret: the plan needs the secret API_KEY, and there is no such \
             variable; `antiphon resume r@2`, with API_KEY set, brings it\n\
             r@2 cannot continue by itself; `antiphon why r@2` shows what it waits for\n"
        );
        let waits = "it waits for its secrets, which are never recorded; `antiphon resume r@2`, \
                     with API_KEY and OTHER set, continues it";
        let why = ran(dir, &["why", "r@2", "only", "--json"])?.stdout;
        let why: serde_json::Value = serde_json::from_slice(&why)?;
        assert_eq!(why["reasons"][0], waits);
        let status = String::from_utf8(ran(dir, &["status", "r@2"])?.stdout)?;
        assert!(status.contains(&format!("  ready  -        -     {waits}\n")), "{status}");
        assert_eq!(with_both(&["resume", "r@2"])?.status.code(), Some(0));
        assert_eq!(retry.0.wait()?.code(), Some(0));
        assert_eq!(carried_out(dir)?, "not-to-be-told not-to-be-told");
    }
    Ok(())
}

#[test]
fn a_missing_secret_that_nothing_left_of_the_run_needs_is_not_spoken_of() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(
        dir,
        "  keyed: { command: ['true'], env: { KEY: { secret: API_KEY } } }\n  \
         plain: { shell: 'test -e mended', retry: { attempts: 1 } }\n",
    )?;
    let mut first = plans::antiphon(dir, &["run", "plan.yaml", "--id", "r"]);
    assert_eq!(first.env("API_KEY", "not-to-be-told").output()?.status.code(), Some(6));
    std::fs::write(dir.join("mended"), "")?;
    let retried = ran(dir, &["retry", "r"])?;
    assert_eq!(
        (retried.status.code(), String::from_utf8(retried.stderr)?.as_str()),
        (
            Some(0),
            "r@2: 1 item taken over from r, 1 runs again: 1 failed\n1 item taken over from r, 1 ran again\n"
        )
    );
    Ok(())
}

/// What a retry said, without its story, and what it ran.
fn retried(dir: &Path, arguments: &[&str]) -> Result<(String, String)> {
    let retry = ran(dir, arguments)?;
    Ok((String::from_utf8(retry.stderr)?, carried_out(dir)?))
}

#[test]
fn a_nested_plan_is_retried_again_and_again_whatever_its_breaker_does() -> Result {
    for breaker in [
        "",
        "breaker: off",
        "breaker: { failures: 2 }",
        "breaker: { failures: 2, then: stop }",
        "breaker: { failures: 2, then: pause }",
    ] {
        let dir = tempfile::tempdir()?;
        let dir = dir.path();
        let keys = format!("budget: {{ sessions: 9, duration: 5m }}\n{breaker}");
        plan_with(dir, "inner.yaml", &keys, CHAIN)?;
        plan(dir, "  inner: { plan: inner.yaml, retry: { attempts: 1 } }\n")?;
        assert_eq!(first(dir, 7)?, "a b d", "{breaker}");
        for (run, items) in [("r", "b"), ("r@2", "b"), ("r@3", "b")] {
            assert_eq!(ran(dir, &["retry", run])?.status.code(), Some(7), "{breaker}");
            assert_eq!(carried_out(dir)?, items, "{breaker}: {run}");
        }
        std::fs::write(dir.join("mended"), "")?;
        assert_eq!(ran(dir, &["retry", "r@4"])?.status.code(), Some(0), "{breaker}");
        assert_eq!(carried_out(dir)?, "b c", "{breaker}");
        assert_eq!(ran(dir, &["verify"])?.status.code(), Some(0), "{breaker}");
    }
    Ok(())
}

#[test]
fn the_end_of_a_retry_counts_what_ran_and_not_what_was_to_run() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(dir, CHAIN)?;
    assert_eq!(first(dir, 6)?, "a b d");
    assert_eq!(
        retried(dir, &["retry", "r"])?,
        (
            "r@2: 2 items taken over from r, 2 run again: 1 failed, 1 skipped\n2 items taken over \
             from r, 1 ran again\n"
                .to_owned(),
            "b".to_owned()
        )
    );
    plan_with(dir, "inner.yaml", "budget: { sessions: 9, duration: 5m }", CHAIN)?;
    plan(
        dir,
        "  inner: { plan: inner.yaml, retry: { attempts: 1 } }\n  e: { shell: 'echo e >> ran' }\n",
    )?;
    assert_eq!(ran(dir, &["run", "plan.yaml", "--id", "s"])?.status.code(), Some(6));
    assert_eq!(carried_out(dir)?, "a b d e");
    assert_eq!(
        retried(dir, &["retry", "s"])?,
        (
            "s@2: 3 items taken over from s, 2 run again: 1 failed, 1 skipped\nwith those of nested \
             plans, 3 items taken over from s, 1 ran again\n"
                .to_owned(),
            "b".to_owned()
        )
    );
    Ok(())
}

#[test]
fn the_plan_of_a_retry_is_the_run_of_its_id() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan_with(dir, "inner.yaml", "budget: { sessions: 9, duration: 5m }\nbreaker: off", CHAIN)?;
    let items = format!("{CHAIN}  inner: {{ plan: inner.yaml, retry: {{ attempts: 1 }} }}\n");
    plan(dir, &items)?;
    assert_eq!(first(dir, 6)?, "a b d a b d");
    pipe(dir, "runs")?;
    std::fs::write(dir.join("mended"), "")?;
    let held = items.replacen("echo c >> ran", "test -e go || { echo > runs; sleep 300; }", 1);
    plan(dir, &held)?;
    let mut retry = Running::start(dir, &["retry", "r", "plan.yaml"])?;
    heard(&dir.join("runs"))?;
    retry.kill()?;
    carried_out(dir)?;
    // It is unfinished: the same command as for any other run continues it.
    std::fs::write(dir.join("go"), "")?;
    let again = ["run", "plan.yaml", "--id", "r@2"];
    let run = ran(dir, &again)?;
    assert_eq!((run.status.code(), carried_out(dir)?.as_str()), (Some(0), "b c"), "{run:?}");
    // Now it has ended.
    let run = ran(dir, &again)?;
    let said = String::from_utf8(run.stderr)?;
    assert_eq!((run.status.code(), carried_out(dir)?.as_str()), (Some(0), ""), "{said}");
    assert!(said.starts_with("r@2 has ended: succeeded at "), "{said}");
    // What really differs is named, and nothing that a retry has made of its items.
    plan(dir, &held.replace("echo d >> ran", "echo e >> ran"))?;
    let run = ran(dir, &again)?;
    let said = String::from_utf8(run.stderr)?;
    assert_eq!((run.status.code(), carried_out(dir)?.as_str()), (Some(2), ""), "{said}");
    assert!(said.contains("`shell` of item d was "), "{said}");
    for internal in ["retried run", "again` of", "reused"] {
        assert!(!said.contains(internal), "{said}");
    }
    Ok(())
}

#[test]
fn a_command_that_was_retried_is_the_run_of_its_id() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    let command = |id| ["do", "--id", id, "--", "sh", "-c", "echo c >> ran; test -e mended"];
    assert_eq!(ran(dir, &command("r"))?.status.code(), Some(1));
    std::fs::write(dir.join("mended"), "")?;
    assert_eq!(ran(dir, &["retry", "r"])?.status.code(), Some(0));
    carried_out(dir)?;
    let (said, ran) = retried(dir, &command("r@2"))?;
    assert!(said.starts_with("r@2 has ended: succeeded at "), "{said}");
    assert_eq!(ran, "");
    Ok(())
}

#[test]
fn a_variable_that_the_plan_reads_and_that_has_changed_is_told() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(
        dir,
        "  reads: { shell: 'echo $MODEL >> ran', env: { MODEL: { from: MODEL } } }\n  fails: { shell: 'echo fails >> ran; false', retry: { attempts: 1 } }\n",
    )?;
    let with = |model: &str, arguments: &[&str]| -> Result<String> {
        let ran: Ran = plans::antiphon(dir, arguments).env("MODEL", model).output()?.into();
        Ok(told(&ran)?.0)
    };
    with("small", &["run", "plan.yaml", "--id", "r"])?;
    assert_eq!(carried_out(dir)?, "small fails");
    let same = "r@2: 1 item taken over from r, 1 runs again: 1 failed\n";
    assert_eq!(with("small", &["retry", "r"])?, same);
    let file = dir.join("plan.yaml");
    let note = format!(
        "note: `from: MODEL` of the plan was `small` and is `large`, and what was recorded is used; \
         `antiphon retry r {}` uses what is set now\n",
        file.display()
    );
    assert_eq!(
        with("large", &["retry", "r", "--item", "reads"])?,
        note + "r@3: nothing taken over, 2 run again: 1 asked for, 1 failed\n"
    );
    assert_eq!(carried_out(dir)?, "fails small fails");
    Ok(())
}

#[test]
fn what_runs_again_is_named_by_the_beginning_of_its_name() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(
        dir,
        "  inner: { plan: inner.yaml }\n  lone: { shell: 'echo lone >> ran' }\n  long: { shell: 'echo long >> ran' }\n  train: { shell: 'echo t$X >> ran', matrix: { x: [1, 2] }, env: { X: '{{x}}' } }\n",
    )?;
    plan_with(
        dir,
        "inner.yaml",
        "budget: { sessions: 9, duration: 5m }",
        "  grand: { shell: 'echo grand >> ran' }\n",
    )?;
    assert_eq!(first(dir, 0)?, "grand lone long t1 t2");
    for (item, runs) in [
        ("lone", "lone"),
        ("lo", ""),
        ("lonf", ""),
        ("tr", "t1 t2"),
        ("train[2", "t2"),
        ("inner/gr", "grand"),
        ("in/grand", "grand"),
    ] {
        let (said, ran) = retried(dir, &["retry", "r", "--item", item])?;
        assert_eq!(ran, runs, "{item}: {said}");
    }
    for (item, meant) in [("lon", "lone or long"), ("inner/grnad", "inner/grand")] {
        let (said, _) = retried(dir, &["retry", "r", "--item", item])?;
        let expected =
            format!("error: there is no item {item} in the plan of r; did you mean {meant}?\n");
        assert!(said.starts_with(&expected), "{said}");
    }
    let help = String::from_utf8(ran(dir, &["retry", "--help"])?.stdout)?;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("the beginning of a name that only one of them has is enough"), "{help}");
    Ok(())
}

#[test]
fn what_an_item_printed_that_was_taken_over_is_where_it_was_carried_out() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(
        dir,
        "  m: { shell: 'echo printed', matrix: { x: [ü, v] }, env: { X: '{{x}}' } }\n  fails: { shell: 'false', retry: { attempts: 1 } }\n",
    )?;
    assert_eq!(first(dir, 6)?, "");
    assert_eq!(ran(dir, &["retry", "r"])?.status.code(), Some(6));
    assert_eq!(ran(dir, &["retry", "r@2"])?.status.code(), Some(6));
    for (run, place) in [("r@2", "r m[ü]"), ("r@3", "r, session 1")] {
        let logs = ran(dir, &["logs", run, "m[ü]"])?;
        assert_eq!(
            (String::from_utf8(logs.stderr)?, logs.status.code()),
            (
                format!(
                    "error: m[ü] of {run} was taken over; what it printed is in {place}\nhint: \
                     `antiphon logs r 'm[ü]'` shows what it printed\n"
                ),
                Some(2)
            )
        );
        // It has the value that `output` prints.
        assert_eq!(ran(dir, &["output", run, "m[ü]"])?.stdout, b"printed\n");
        let show = String::from_utf8(ran(dir, &["show", run, "m[ü]"])?.stdout)?;
        let value = "value         printed\n";
        assert!(show.contains(value), "{show}");
    }
    assert_eq!(ran(dir, &["logs", "r", "m[ü]"])?.stdout, b"printed\n");
    Ok(())
}
