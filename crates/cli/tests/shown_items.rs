//! `antiphon show`, `output` and `logs`: what an item runs, the value that it puts out, and what it
//! prints.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::plans::{Result, Running, antiphon, heard, pipe, plan, ran, say};
use serde_json::Value;

/// Two items of which the second fills in what the first puts out, and fails once.
const TWO: &str = "  first:
    command: [sh, -c, 'echo \"{\\\"output\\\": {\\\"rows\\\": 3}}\" > \"$ANTIPHON_RESULT\"; echo printed; echo to stderr >&2']
    output: [rows]
  second:
    command: [sh, -c, 'test -e again || { touch again; echo no luck >&2; exit 3; }; printf \"a\\tb\\n\\n\"', x, \"{{first.output.rows}} rows\"]
    needs: [first]
    env: { EPOCHS: 3, TOKEN: { secret: TOKEN } }
    retry: { attempts: 2, backoff: 1ms }
";

fn printed(dir: &Path, arguments: &[&str]) -> Result<String> {
    let ran = ran(dir, arguments)?;
    assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {ran:?}");
    Ok(String::from_utf8(ran.stdout)?)
}

fn object(dir: &Path, arguments: &[&str]) -> Result<Value> {
    Ok(serde_json::from_str(&printed(dir, arguments)?)?)
}

/// Runs the two items as the run `r`.
fn two(dir: &Path) -> Result {
    plan(dir, TWO)?;
    let run = antiphon(dir, &["run", "--id", "r", "plan.yaml"])
        .env("TOKEN", "not-to-be-shown")
        .output()?;
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    Ok(())
}

#[test]
fn an_item_is_shown_with_its_command_its_attempts_and_what_it_waited_for() -> Result {
    let dir = tempfile::tempdir()?;
    two(dir.path())?;
    let shown = object(dir.path(), &["show", "r", "second", "--json"])?;
    let command = &shown["command"];
    assert_eq!((&shown["state"], &shown["source"]), (&"succeeded".into(), &"stdout".into()));
    assert_eq!((&shown["value"], &shown["value_bytes"]), (&"a\tb\n\n".into(), &5.into()));
    assert_eq!(command["argv"][4], "3 rows");
    assert_eq!(command["filled_in"], true);
    assert_eq!(command["environment"]["EPOCHS"]["value"], "3");
    assert_eq!(command["environment"]["TOKEN"]["secret"], "TOKEN");
    let outcomes: Vec<(&Value, &Value)> = shown["attempts"]
        .as_array()
        .ok_or("no attempts")?
        .iter()
        .map(|attempt| (&attempt["outcome"], &attempt["exit"]))
        .collect();
    assert_eq!(
        outcomes,
        [(&"FAILURE".into(), &"exit 3".into()), (&"SUCCESS".into(), &"exit 0".into())]
    );
    assert_eq!(shown["needs"][0]["item"], "first");
    assert!(shown["needs"][0]["waited_ms"].is_u64(), "{shown}");
    let text = printed(dir.path(), &["show", "r", "second"])?;
    for line in [
        "state         succeeded",
        "EPOCHS=3",
        "TOKEN=[secret TOKEN]",
        "waited for    first (succeeded), ",
        "no luck",
        "printed       `antiphon logs r second` shows it",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("not-to-be-shown"), "{text}");
    Ok(())
}

#[test]
fn what_a_command_needs_and_is_not_there_yet_stands_as_in_the_plan() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  first: { command: ['false'], output: [rows], retry: { attempts: 1 } }\n  second: { command: [echo, '{{first.output.rows}}'], needs: [first] }\n",
    )?;
    let run = ran(dir.path(), &["run", "--id", "r", "plan.yaml"])?;
    assert_eq!(run.status.code(), Some(7));
    let shown = object(dir.path(), &["show", "r", "second", "--json"])?;
    assert_eq!(shown["command"]["argv"][1], "{{first.output.rows}}");
    assert_eq!(
        (&shown["state"], &shown["command"]["filled_in"]),
        (&"skipped".into(), &false.into())
    );
    let text = printed(dir.path(), &["show", "r", "second"])?;
    assert!(text.contains("because       first, which it needs, did not succeed"), "{text}");
    Ok(())
}

#[test]
fn the_value_of_an_item_is_what_it_put_out_else_its_standard_output_byte_for_byte() -> Result {
    let dir = tempfile::tempdir()?;
    two(dir.path())?;
    assert_eq!(printed(dir.path(), &["output", "r", "first"])?, "{\"rows\":3}");
    assert_eq!(printed(dir.path(), &["output", "r", "second"])?, "a\tb\n\n");
    let first = object(dir.path(), &["output", "r", "first", "--json"])?;
    assert_eq!((&first["source"], &first["value"]["rows"]), (&"output".into(), &3.into()));
    let second = object(dir.path(), &["output", "r", "second", "--json"])?;
    assert_eq!((&second["source"], &second["text"]), (&"stdout".into(), &"a\tb\n\n".into()));
    Ok(())
}

#[test]
fn an_item_is_shown_with_the_value_that_it_puts_out_also_where_it_was_taken_over() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(
        dir,
        "  says: { shell: 'echo one; echo two' }
  puts: { shell: 'echo \"{\\\"output\\\": {\\\"rows\\\": 3}}\" > \"$ANTIPHON_RESULT\"', output: [rows] }
  long: { shell: 'seq 2000' }
  fails: { command: ['false'], retry: { attempts: 1 } }
",
    )?;
    assert_eq!(ran(dir, &["run", "--id", "r", "plan.yaml"])?.status.code(), Some(6));
    assert_eq!(ran(dir, &["retry", "r"])?.status.code(), Some(6));
    assert_eq!(ran(dir, &["retry", "r@2"])?.status.code(), Some(6));
    let values = |run: &str, item: &str| -> Result<String> {
        let page = printed(dir, &["show", run, item])?;
        let lines = page.lines().skip_while(|line| !line.starts_with("value "));
        let lines = lines.take_while(|line| line.starts_with([' ', 'v']));
        Ok(lines.map(|line| format!("{}\n", line.trim())).collect())
    };
    for run in ["r", "r@2", "r@3"] {
        assert_eq!(
            values(run, "says")?,
            "value         one\ntwo\n(its standard output, as it puts out nothing else)\n"
        );
        assert_eq!(values(run, "puts")?, "value         {\"rows\":3}\n(what it put out)\n");
        assert_eq!(
            values(run, "long")?,
            format!(
                "value         its standard output, as it puts out nothing else, 8893 bytes; \
                 `antiphon output {run} long` prints it\n"
            )
        );
        assert_eq!(values(run, "fails")?, "");
        for item in ["says", "puts"] {
            let shown = object(dir, &["show", run, item, "--json"])?;
            let put_out = object(dir, &["output", run, item, "--json"])?;
            assert_eq!(shown["source"], put_out["source"]);
            let value = put_out.get("value").unwrap_or(&put_out["text"]);
            assert_eq!(&shown["value"], value, "{run} {item}");
        }
    }
    Ok(())
}

#[test]
fn what_was_only_printed_is_not_shown_as_filled_in() -> Result {
    let dir = tempfile::tempdir()?;
    let dir = dir.path();
    plan(
        dir,
        "  a: { shell: 'echo printed' }\n  b: { command: ['true'], needs: [a], env: { N: '{{a.output}}' }, retry: { attempts: 1 } }\n",
    )?;
    assert_eq!(ran(dir, &["run", "--id", "r", "plan.yaml"])?.status.code(), Some(6));
    let shown = object(dir, &["show", "r", "b", "--json"])?;
    let command = &shown["command"];
    assert_eq!(
        (&command["environment"]["N"]["value"], &command["filled_in"]),
        (&"{{a.output}}".into(), &false.into())
    );
    assert_eq!(shown["attempts"][0]["text"], "a has no output, which this session's command needs");
    Ok(())
}

#[test]
fn an_item_that_failed_has_no_value_but_what_it_printed_is_there() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  only: { shell: 'echo said; exit 4', retry: { attempts: 1 } }\n")?;
    assert_eq!(ran(dir.path(), &["run", "--id", "r", "plan.yaml"])?.status.code(), Some(7));
    let output = ran(dir.path(), &["output", "r", "only"])?;
    assert_eq!(
        (String::from_utf8(output.stderr)?, output.stdout, output.status.code()),
        (
            "error: only of r has put out no value: it failed\nhint: `antiphon logs r only` shows what it printed\n"
                .to_owned(),
            Vec::new(),
            Some(2)
        )
    );
    assert_eq!(printed(dir.path(), &["logs", "r", "only"])?, "said\n");
    Ok(())
}

#[test]
fn logs_show_both_outputs_of_an_item_and_each_line_of_a_run_with_its_item() -> Result {
    let dir = tempfile::tempdir()?;
    two(dir.path())?;
    let first = ran(dir.path(), &["logs", "r", "first"])?;
    assert_eq!((&first.stdout[..], &first.stderr[..]), (&b"printed\n"[..], &b"to stderr\n"[..]));
    let quiet = ran(dir.path(), &["logs", "r", "first", "--stderr"])?;
    assert_eq!((&quiet.stdout[..], &quiet.stderr[..]), (&b""[..], &b"to stderr\n"[..]));
    let attempt = ran(dir.path(), &["logs", "r", "second", "--attempt", "1"])?;
    assert_eq!((&attempt.stdout[..], &attempt.stderr[..]), (&b""[..], &b"no luck\n"[..]));
    let all = ran(dir.path(), &["logs", "r"])?;
    assert_eq!(String::from_utf8(all.stdout)?, "first | printed\nsecond | a\tb\nsecond | \n");
    assert_eq!(String::from_utf8(all.stderr)?, "first | to stderr\nsecond | no luck\n");
    let absent = ran(dir.path(), &["logs", "r", "second", "--attempt", "3"])?;
    assert_eq!(absent.status.code(), Some(2), "{absent:?}");
    Ok(())
}

#[test]
fn logs_follow_a_session_while_it_prints_and_show_no_secret() -> Result {
    let dir = tempfile::tempdir()?;
    pipe(dir.path(), "runs")?;
    pipe(dir.path(), "ends")?;
    plan(
        dir.path(),
        "  only: { shell: 'echo \"key $TOKEN\"; echo waits; echo now > runs; read line < ends; echo done', env: { TOKEN: { secret: TOKEN } }, retry: { attempts: 1 } }\n",
    )?;
    let mut run = antiphon(dir.path(), &["run", "--id", "r", "plan.yaml"]);
    let run =
        Running(run.env("TOKEN", "not-to-be-shown").stdout(std::process::Stdio::null()).spawn()?);
    heard(&dir.path().join("runs"))?;
    let mut following = Running::start(dir.path(), &["logs", "--follow", "only"])?;
    let mut lines = BufReader::new(following.0.stdout.take().ok_or("no standard output")?);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    // The end of the last line is held back, as it may be the beginning of a secret.
    assert_eq!(line, "key [secret TOKEN]\n");
    let all = printed(dir.path(), &["logs", "r"])?;
    assert_eq!(all, "only | key [secret TOKEN]\nonly | waits\n");
    let running = object(dir.path(), &["show", "only", "--json"])?;
    assert_eq!(running["state"], "running");
    let early = ran(dir.path(), &["output", "r", "only"])?;
    assert_eq!(early.status.code(), Some(2), "{early:?}");
    let mut cut_off = Running::start(dir.path(), &["logs", "--follow", "r"])?;
    let mut first = BufReader::new(cut_off.0.stdout.take().ok_or("no standard output")?);
    first.read_line(&mut String::new())?;
    drop(first);
    assert_eq!(cut_off.0.wait()?.code(), Some(0), "nobody reads it any more");
    say(&dir.path().join("ends"), "now")?;
    line.clear();
    lines.read_line(&mut line)?;
    assert_eq!(line, "waits\n");
    assert_eq!(following.0.wait()?.code(), Some(0));
    drop(run);
    Ok(())
}
