//! `antiphon key` and `antiphon gate` inside a session, outside of it, with an engine and without one.

use std::io::Write as _;
use std::process::Stdio;

use crate::common::Fixture;
use crate::plans::{self, Result, Running, antiphon, heard, pipe, plan_with, ran, say};

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

/// What a command printed on standard output.
fn printed(ran: impl Into<plans::Ran>) -> String {
    String::from_utf8_lossy(&ran.into().stdout).trim_end().to_owned()
}

#[test]
fn keys_are_set_together_and_read_back_without_an_engine() -> Result {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("plan.json"), "{ \"steps\": [1,\n 2] }\n")?;
    std::fs::write(fixture.path("notes.md"), "# Notes\n\nplain\n")?;
    let run = |line: &str| -> Vec<String> {
        let said = printed(fixture.output(&line.replace(" ..", " --run service")));
        said.lines().map(|line| line.split(", version").next().unwrap().to_owned()).collect()
    };
    assert_eq!(run("key set phase tests .."), ["phase set in service"]);
    assert_eq!(run("key set a=1.50 b=x=y c=null d=true .."), ["4 keys set in service"]);
    assert_eq!(run("key set plan @plan.json .."), ["plan set in service"]);
    assert_eq!(run("key set notes=@notes.md .."), ["notes set in service"]);
    assert_eq!(run("key set n -1 .."), ["n set in service"]);
    for (key, value) in [
        ("phase", vec!["tests"]),
        ("a", vec!["1.50"]),
        ("b", vec!["x=y"]),
        ("c", vec!["null"]),
        ("n", vec!["-1"]),
        ("plan", vec!["{ \"steps\": [1,  2] }"]),
        ("notes", vec!["# Notes", "", "plain"]),
    ] {
        assert_eq!(run(&format!("key get {key} ..")), value, "{key}");
    }
    assert_eq!(run("key delete c d absent .."), ["3 keys deleted in service"]);
    let listed = printed(fixture.output("key list --run service --json --prefix p"));
    let told: Vec<String> = listed
        .lines()
        .map(|line| {
            let key: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{} {}", key["key"], key["value"])
        })
        .collect();
    assert_eq!(told, ["\"phase\" \"tests\"", "\"plan\" {\"steps\":[1,2]}"]);
    let table = printed(fixture.output("key list --run service"));
    let names: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["KEY", "a", "b", "n", "notes", "phase", "plan"]);

    assert_eq!(run("gate score coverage 0.85 .."), ["gate coverage scored in service"]);
    assert_eq!(run("key get gate/coverage .."), ["850000"]);
    for (line, code) in [
        ("key get absent ..", 2),
        ("key set phase ..", 2),
        ("key set a=1 b ..", 2),
        ("key set a=1 a=2 ..", 2),
        ("key set phase {broken ..", 2),
        ("key set phase @missing ..", 3),
        ("key set a=1 b=2 --if-absent ..", 2),
        ("key delete a b --if-version 1 ..", 2),
        ("key set gate/coverage much ..", 2),
        ("gate score coverage 0.8500001 ..", 2),
        ("key set phase x --run build", 2),
        ("key set phase x --run nowhere", 2),
        ("key list --run nowhere", 2),
        ("key list --run build", 0),
        ("key watch --run build --after beginning", 0),
    ] {
        let line = line.replace(" ..", " --run service");
        assert_eq!(fixture.output(&line).status.code(), Some(code), "{line}");
    }
    Ok(())
}

#[test]
fn a_key_that_is_not_as_expected_stays_as_it_is_and_the_exit_code_says_so() -> Result {
    let fixture = Fixture::new();
    let set = |rest: &str| fixture.output(&format!("--json key {rest} --run service"));
    let version = |output: &std::process::Output| -> u64 {
        let accepted: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        accepted["version"].as_u64().unwrap()
    };
    let first = version(&set("set owner ana --if-absent"));
    for lost in [
        "set owner ben --if-absent".to_owned(),
        format!("set owner ben --if-version {}", first - 1),
        "delete owner --if-version 1".to_owned(),
    ] {
        let output = set(&lost);
        assert_eq!(output.status.code(), Some(14), "{lost}");
        let said = String::from_utf8(output.stderr)?;
        let how = format!("error: key owner was set at version {first}, and was expected");
        assert!(said.starts_with(&how), "{said}");
    }
    assert_eq!(printed(fixture.output("key get owner --run service")), "ana");
    assert!(version(&set(&format!("set owner ben --if-version {first}"))) > first);
    Ok(())
}

#[test]
fn keys_that_all_share_are_there_once_one_is_set() -> Result {
    let fixture = Fixture::new();
    let set = printed(fixture.output("key set resource/gpu 0.5 --run shared"));
    assert_eq!(set, "resource/gpu set in shared, version 2");
    assert_eq!(printed(fixture.output("key get resource/gpu --run shared")), "0.5");
    Ok(())
}

#[test]
fn the_items_of_a_run_share_its_keys_and_somebody_watches() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    let work = format!(
        "  first: {{ shell: '{BIN} key set phase=one count=1 > set.txt && {BIN} key get count && echo runs > runs; read word < ends' }}
  then:
    needs: [first]
    shell: '{BIN} key set big @big.txt && {BIN} key list --json --prefix phase'
  refused:
    needs: [then]
    shell: '{BIN} key set gate/coverage 1000000 2> said.txt; echo $?; {BIN} key get phase --run other; echo $?'
"
    );
    std::fs::write(dir.path().join("big.txt"), "x".repeat(100_000))?;
    plan_with(dir.path(), "plan.yaml", "budget: { sessions: 9, duration: 5m }", &work)?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&runs)?;
    let watch = antiphon(dir.path(), &["key", "watch", "--after", "beginning", "--json"])
        .stdout(Stdio::piped())
        .spawn()?;
    assert_eq!(printed(ran(dir.path(), &["key", "get", "phase"])?), "one");
    let mut set =
        antiphon(dir.path(), &["key", "set", "phase", "-"]).stdin(Stdio::piped()).spawn()?;
    set.stdin.take().ok_or("no input")?.write_all(b"two\n")?;
    assert!(set.wait()?.success());
    say(&ends, "now")?;
    assert_eq!(run.end()?.status.code(), Some(0));
    let watch: plans::Ran = watch.wait_with_output()?.into();
    let told: Vec<String> = printed(watch)
        .lines()
        .map(|line| {
            let change: serde_json::Value = serde_json::from_str(line).unwrap();
            let value = change["value"].to_string();
            format!("{} {} {}", change["key"], value.get(..20).unwrap_or(&value), change["by"])
                .replace('"', "")
        })
        .collect();
    let expected = [
        "count 1 session:r.1",
        "phase one session:r.1",
        "phase two operator",
        "big xxxxxxxxxxxxxxxxxxx session:r.2",
    ];
    assert_eq!(told, expected);
    assert_eq!(printed(ran(dir.path(), &["output", "first"])?), "1");
    let then = printed(ran(dir.path(), &["output", "then"])?);
    assert!(then.contains("\"value\":\"two\""), "{then}");
    assert_eq!(printed(ran(dir.path(), &["output", "refused"])?), "2\n2");
    let said = std::fs::read_to_string(dir.path().join("said.txt"))?;
    assert!(said.contains("gate coverage"), "{said}");
    Ok(())
}

#[test]
fn gates_and_keys_are_waited_for_in_a_session_and_outside() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    let plan = format!(
        "name: test
budget: {{ sessions: 9, duration: 5m }}
concurrency: 2
work:
  waits:
    shell: '{BIN} gate wait coverage --at-least 0.8; {BIN} key wait phase --equals two; {BIN} key wait x --timeout 5ms 2> said.txt; echo $?'
  scores:
    shell: 'echo runs > runs; read word < ends; {BIN} key set phase two > set.txt'
"
    );
    std::fs::write(dir.path().join("plan.yaml"), plan)?;
    let run = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    heard(&runs)?;
    assert!(ran(dir.path(), &["gate", "score", "coverage", "0.7"])?.status.success());
    let outside = antiphon(dir.path(), &["gate", "wait", "coverage", "--at-least", "0.8"])
        .args(["--timeout", "1m", "--json"])
        .stdout(Stdio::piped())
        .spawn()?;
    let early =
        ran(dir.path(), &["gate", "wait", "coverage", "--at-least", "0.8", "--timeout", "1ms"])?;
    assert_eq!(early.status.code(), Some(12));
    let said = String::from_utf8(early.stderr)?;
    assert_eq!(said, "error: waited 1ms in vain for gate coverage of at least 0.8 in r\n");
    assert!(ran(dir.path(), &["gate", "score", "coverage", "0.85"])?.status.success());
    let outside: plans::Ran = outside.wait_with_output()?.into();
    let met: serde_json::Value = serde_json::from_slice(&outside.stdout)?;
    assert_eq!(met["need"], "gate coverage of at least 0.8");
    say(&ends, "now")?;
    assert_eq!(run.end()?.status.code(), Some(0));

    let waited = printed(ran(dir.path(), &["output", "waits"])?);
    let lines: Vec<&str> =
        waited.lines().map(|line| line.split(", version").next().unwrap()).collect();
    let expected = [
        "waited for gate coverage of at least 0.8 in r",
        "waited for key phase to be \"two\" in r",
        "12",
    ];
    assert_eq!(lines, expected);
    let said = std::fs::read_to_string(dir.path().join("said.txt"))?;
    assert_eq!(said, "error: waited 5ms in vain for key x to be there in r\n");
    // What the run left is waited for no longer, and is there all the same.
    let late = ran(dir.path(), &["key", "wait", "phase", "--equals", "two"])?;
    assert!(printed(late).starts_with("waited for key phase to be \"two\" in r, version "));
    let never = ran(dir.path(), &["key", "wait", "x"])?;
    assert_eq!(never.status.code(), Some(12));
    assert_eq!(
        String::from_utf8(never.stderr)?,
        "error: waited in vain for key x to be there: r has ended\n"
    );
    Ok(())
}
