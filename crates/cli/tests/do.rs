//! Any command as a coordination of its own: what it prints is passed on, how it went is the exit
//! code, and all of it is on the record.

use std::io::BufRead as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::plans::{self, Result, Running, antiphon, heard, pipe, ran, say};

#[test]
fn what_a_command_prints_is_passed_on_as_it_is() -> Result {
    let dir = tempfile::tempdir()?;
    let output = ran(
        dir.path(),
        &["do", "--id", "greeting", "--", "sh", "-c", "echo '{{out}}'; echo err >&2"],
    )?;
    assert_eq!(String::from_utf8(output.stdout)?, "{{out}}\n");
    assert_eq!(
        String::from_utf8(output.stderr)?,
        "err\nsucceeded; `antiphon receipt show greeting`\n"
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn a_failure_is_told_by_its_last_line() -> Result {
    let dir = tempfile::tempdir()?;
    let fails = "echo one >&2; echo two >&2; exit 5";
    let output = ran(dir.path(), &["do", "--id", "d", "--", "sh", "-c", fails])?;
    let said = String::from_utf8(output.stderr)?;
    assert!(said.starts_with("one\ntwo\nexit 5: two\n"), "{said}");
    assert_eq!(output.status.code(), Some(5));
    Ok(())
}

#[test]
fn bytes_that_are_no_text_are_passed_on_whole() -> Result {
    let dir = tempfile::tempdir()?;
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    std::fs::write(dir.path().join("bytes"), &bytes)?;
    let output = ran(dir.path(), &["do", "--", "sh", "-c", "cat bytes; cat bytes >&2"])?;
    assert!(
        output.stdout == bytes && output.stderr.starts_with(&bytes),
        "{} bytes came",
        output.stdout.len()
    );
    Ok(())
}

#[test]
fn it_is_passed_on_while_the_command_runs() -> Result {
    let dir = tempfile::tempdir()?;
    let ends = pipe(dir.path(), "ends")?;
    let mut run = Running::start(
        dir.path(),
        &["do", "--", "sh", "-c", "echo first; read word < ends; echo $word"],
    )?;
    let mut lines =
        std::io::BufReader::new(run.0.stdout.take().ok_or("no standard output")?).lines();
    assert_eq!(lines.next().ok_or("it printed nothing")??, "first");
    say(&ends, "second")?;
    assert_eq!(lines.next().ok_or("it printed nothing more")??, "second");
    assert_eq!(run.0.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn the_exit_code_is_the_command_s_own() -> Result {
    let dir = tempfile::tempdir()?;
    let code = |arguments: &[&str]| -> Result<Option<i32>> {
        Ok(ran(dir.path(), arguments)?.status.code())
    };
    assert_eq!(code(&["do", "--", "sh", "-c", "exit 3"])?, Some(3));
    assert_eq!(code(&["do", "--", "sh", "-c", "kill -KILL $$"])?, Some(128 + 9));
    assert_eq!(code(&["do", "--", "no-such-program-at-all"])?, Some(127));
    std::fs::write(dir.path().join("text"), "no program")?;
    assert_eq!(code(&["do", "--", "./text"])?, Some(126));
    // Where its check has the last word, that it went wrong is told without a code of the command.
    assert_eq!(code(&["do", "--check", "false", "--", "true"])?, Some(125));
    assert_eq!(code(&["do", "--check", "true", "--", "false"])?, Some(0));
    assert_eq!(
        code(&[
            "do",
            "--attempts",
            "2",
            "--",
            "sh",
            "-c",
            "test -e again || { touch again; false; }"
        ])?,
        Some(0)
    );
    let last = "test -e once && exit 9; touch once; exit 8";
    assert_eq!(code(&["do", "--attempts", "2", "--", "sh", "-c", last])?, Some(9));
    Ok(())
}

#[test]
fn trouble_that_is_not_the_command_s_own_is_125() -> Result {
    let dir = tempfile::tempdir()?;
    for arguments in [
        &["do"] as &[_],
        &["do", "--no-such-option", "true"],
        &["do", "--secret", "NOT_THERE", "--", "true"],
        &["do", "--usage", "tarot", "--", "true"],
        &["do", "--stdin", "not-there", "--", "true"],
    ] {
        assert_eq!(ran(dir.path(), arguments)?.status.code(), Some(125), "{arguments:?}");
    }
    assert_eq!(ran(dir.path(), &["do", "--help"])?.status.code(), Some(0));
    assert_eq!(ran(dir.path(), &["--no-such-option", "do"])?.status.code(), Some(2));
    std::fs::write(dir.path().join("file"), "")?;
    let mut elsewhere = antiphon(dir.path(), &["do", "--dir", "file", "--", "true"]);
    assert_eq!(elsewhere.output()?.status.code(), Some(125));
    Ok(())
}

#[test]
fn an_id_that_has_ended_gives_the_same_code_again() -> Result {
    let dir = tempfile::tempdir()?;
    let code = |line: &str| -> Result<Option<i32>> {
        let mut arguments = vec!["do", "--id", "once", "--", "sh", "-c"];
        arguments.push(line);
        Ok(ran(dir.path(), &arguments)?.status.code())
    };
    let line = "echo >> ran; exit 42";
    assert_eq!((code(line)?, code(line)?), (Some(42), Some(42)));
    assert_eq!(std::fs::read(dir.path().join("ran"))?, b"\n", "it ran once");
    assert_eq!(code("exit 43")?, Some(125), "the id is another command's");
    Ok(())
}

#[test]
fn words_after_the_command_are_its_own_without_two_dashes() -> Result {
    let dir = tempfile::tempdir()?;
    let output = ran(dir.path(), &["do", "--id", "plain", "echo", "--json", "-n", "--", "--id"])?;
    assert_eq!(String::from_utf8(output.stdout)?, "--json -n -- --id\n");
    assert_eq!(output.status.code(), Some(0));
    let listed = ran(dir.path(), &["list", "--json"])?;
    let run: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
    assert_eq!((run["id"].as_str(), run["name"].as_str()), (Some("plain"), Some("echo")));
    Ok(())
}

#[test]
fn one_that_is_asked_to_stop_gives_128_and_the_number_of_the_signal() -> Result {
    use rustix::process::Signal;

    for (signal, code) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        let dir = tempfile::tempdir()?;
        let runs = pipe(dir.path(), "runs")?;
        let script = "echo > runs; exec sleep 300";
        let mut run = Running::start(dir.path(), &["do", "--id", "x", "--", "sh", "-c", script])?;
        let said = run.0.stderr.take().ok_or("no standard error")?;
        let mut said = std::io::BufReader::new(said).lines();
        heard(&runs)?;
        run.signal(signal)?;
        if signal == Signal::INT {
            // The first lets the session come to its end; the second ends it.
            said.next().ok_or("it said nothing")??;
            run.signal(signal)?;
        }
        assert_eq!(run.0.wait()?.code(), Some(code), "{signal:?}");
        let said = said.collect::<std::result::Result<Vec<_>, _>>()?;
        let left = "x is unfinished: `antiphon resume x` continues it; `antiphon cancel x` ends it";
        assert_eq!(said, ["stopping running sessions", left], "{signal:?}");
        assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    }
    Ok(())
}

#[test]
fn its_time_ends_all_that_it_started() -> Result {
    let dir = tempfile::tempdir()?;
    let pids = pipe(dir.path(), "pids")?;
    let script = "setsid sleep 300 & echo $! > pids; sleep 300";
    let run = Running::start(dir.path(), &["do", "--timeout", "500ms", "--", "sh", "-c", script])?;
    let left = heard(&pids)?;
    let output = run.end()?;
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("timed out after "), "{output:?}");
    assert!(!Path::new("/proc").join(left).exists());
    Ok(())
}

#[test]
fn it_sees_the_variables_that_are_named_and_prints_no_secret() -> Result {
    let dir = tempfile::tempdir()?;
    let line = [
        "do",
        "--env",
        "SEEN",
        "--env",
        "SET=b c",
        "--secret",
        "KEY",
        "--",
        "sh",
        "-c",
        "echo \"$SEEN|$SET|$KEY|$UNSEEN\"",
    ];
    let mut command = antiphon(dir.path(), &line);
    let output =
        command.env("SEEN", "a").env("UNSEEN", "x").env("KEY", "a-secret-value").output()?;
    assert_eq!(String::from_utf8(output.stdout)?, "a|b c|[secret KEY]|\n");
    Ok(())
}

#[test]
fn its_arguments_reach_it_as_they_are() -> Result {
    let dir = tempfile::tempdir()?;
    let odd = [
        "two\nlines\r\n",
        "{{x}} {{",
        "",
        " #\t'\"\\",
        "\u{1}\u{7f}\u{85}\u{2028}\u{feff}\u{ffff}",
        "é😀",
        "--json",
        "- a: b",
    ];
    let output = antiphon(dir.path(), &["do", "--", "printf", "%s|"]).args(odd).output()?;
    assert_eq!(
        String::from_utf8(output.stdout)?,
        format!("{}|", odd.join("|")),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // A program whose name is none for a coordination is run all the same.
    let long = format!("./{}", "x".repeat(255));
    std::fs::copy("/bin/true", dir.path().join(&long))?;
    std::fs::copy("/bin/true", dir.path().join("line\nbreak"))?;
    for program in [long.as_str(), "./line\nbreak"] {
        assert_eq!(ran(dir.path(), &["do", "--", program])?.status.code(), Some(0));
    }
    Ok(())
}

#[test]
fn a_directory_whose_name_is_not_text_is_told() -> Result {
    let dir = tempfile::tempdir()?;
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    std::fs::create_dir(&odd)?;
    let output = antiphon(dir.path(), &["do", "--", "true"]).current_dir(&odd).output()?;
    let stderr = String::from_utf8(output.stderr)?;
    assert!(stderr.contains("is not UTF-8; run the plan from another one"), "{stderr}");
    assert_eq!(output.status.code(), Some(125));
    plans::plan(&odd, "  a: { command: ['true'] }\n")?;
    let checked =
        antiphon(dir.path(), &["--json", "plan", "check"]).arg(odd.join("plan.yaml")).output()?;
    let answer: serde_json::Value = serde_json::from_slice(&checked.stdout)?;
    assert_eq!(
        (answer["problems"][0]["code"].as_str(), checked.status.code()),
        (Some("unreadable"), Some(5))
    );
    Ok(())
}

#[test]
fn what_a_session_printed_is_printed_again_also_while_it_runs() -> Result {
    let dir = tempfile::tempdir()?;
    let (runs, ends) = (pipe(dir.path(), "runs")?, pipe(dir.path(), "ends")?);
    let script = "echo first; echo oops >&2; echo > runs; read word < ends; echo second";
    let run = Running::start(dir.path(), &["do", "--id", "talks", "--", "sh", "-c", script])?;
    heard(&runs)?;
    let printed = |arguments: &[&str]| -> Result<(String, String, Option<i32>)> {
        let output = ran(dir.path(), arguments)?;
        Ok((
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
            output.status.code(),
        ))
    };
    let pair = |stdout: &str, stderr: &str| (stdout.to_owned(), stderr.to_owned(), Some(0));
    // What a program has written is on its way for a moment.
    let expected = pair("first\n", "oops\n");
    let seen = (0..200)
        .map(|_| printed(&["logs", "talks", "command"]))
        .find(|seen| !matches!(seen, Ok(seen) if *seen != expected));
    assert_eq!(seen.ok_or("it was never seen")??, expected);
    say(&ends, "end")?;
    assert_eq!(run.end()?.status.code(), Some(0));
    assert_eq!(
        printed(&["logs", "talks", "command", "--session", "1"])?,
        pair("first\nsecond\n", "oops\n")
    );
    let (_, absent, code) = printed(&["logs", "talks", "nobody"])?;
    assert_eq!(
        absent,
        "error: there is no item nobody in talks\nhint: `antiphon status talks` shows its items\n"
    );
    assert_eq!(code, Some(2));
    Ok(())
}

/// Somebody who is not root.
const SOMEBODY: u32 = 65_534;

#[test]
fn a_directory_in_which_root_ran_a_command_once_can_be_gone_on_with_by_its_owner() -> Result {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (program, project) = (dir.path().join("antiphon"), dir.path().join("project"));
    std::fs::copy(env!("CARGO_BIN_EXE_antiphon"), &program)?;
    std::fs::create_dir(&project)?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    chown(&project, Some(SOMEBODY), Some(SOMEBODY))?;
    let command = |line: &str| {
        let mut command = Command::new(&program);
        command.args(line.split_whitespace()).current_dir(&project).env_remove("ANTIPHON_DIR");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    let by_owner = |line: &str| {
        let mut command = command(line);
        command.uid(SOMEBODY).gid(SOMEBODY);
        command
    };

    // Root makes the directory and leaves large output in it; then one of its engines is killed.
    assert!(command("do --id first -- seq 30000").stdout(Stdio::null()).status()?.success());
    let mut killed =
        command("do --id killed -- sh -c echo;sleep${IFS}60").stdout(Stdio::piped()).spawn()?;
    let said = killed.stdout.take().ok_or("no standard output")?;
    std::io::BufReader::new(said).lines().next().ok_or("it printed nothing")??;
    killed.kill()?;
    killed.wait()?;

    assert!(by_owner("do --id second -- true").status()?.success(), "its owner is locked out");
    assert!(by_owner("verify").stdout(Stdio::null()).status()?.success());
    Ok(())
}

/// Runs `do` with something written to its standard input, and that closed.
fn fed(dir: &Path, arguments: &[&str], input: &[u8]) -> Result<plans::Ran> {
    use std::io::Write as _;
    let mut command = antiphon(dir, &[&["do"], arguments].concat());
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    let mut pipe = child.stdin.take().ok_or("no standard input")?;
    // One that is refused may not read all of it.
    let _written = pipe.write_all(input);
    drop(pipe);
    Ok(child.wait_with_output()?.into())
}

#[test]
fn standard_input_is_passed_on_to_each_attempt() -> Result {
    let dir = tempfile::tempdir()?;
    let text = "{{first}}\nsecond \u{85}\u{1}\"'\n";
    let script = "cat; test -e once || { touch once; exit 1; }";
    let line = ["--attempts", "2", "--id", "fed", "--", "sh", "-c", script];
    let output = fed(dir.path(), &line, text.as_bytes())?;
    assert_eq!(String::from_utf8(output.stdout)?, text.repeat(2));
    assert_eq!(output.status.code(), Some(0));
    // It is a part of what the run is.
    assert_eq!(fed(dir.path(), &line, text.as_bytes())?.status.code(), Some(0));
    assert_eq!(fed(dir.path(), &line, b"other")?.status.code(), Some(125));
    Ok(())
}

#[test]
fn a_file_on_standard_input_is_read_from_where_it_stands_and_left_there() -> Result {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("lines"), "1\n2\n3\n")?;
    let script =
        "while read line; do \"$0\" --dir state do -- sh -c \"echo $line; cat\"; done < lines";
    let output = std::process::Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_antiphon")])
        .current_dir(dir.path())
        .output()?;
    assert_eq!(String::from_utf8(output.stdout)?, "1\n2\n3\n2\n3\n3\n");
    Ok(())
}

#[test]
fn standard_input_that_cannot_be_kept_is_refused_before_anything_runs() -> Result {
    let dir = tempfile::tempdir()?;
    let refused = fed(dir.path(), &["touch", "ran"], &vec![b'a'; (16 << 20) + 1])?;
    assert_eq!(
        (String::from_utf8(refused.stderr)?.as_str(), refused.status.code()),
        (
            "error: standard input has more than the 16 MiB that are kept\nhint: name a file with \
             --stdin FILE (up to 64 MiB), let the command read one, or give it no input with `< \
             /dev/null`\n",
            Some(125)
        )
    );
    assert!(!dir.path().join("ran").exists());
    Ok(())
}

#[test]
fn bytes_of_any_kind_on_standard_input_reach_each_attempt_and_a_retry() -> Result {
    let dir = tempfile::tempdir()?;
    let all: Vec<u8> = (0..=255).cycle().take(2 << 20).collect();
    for (id, input) in [("all", all), ("few", vec![0xff, 0, b'\n']), ("text", vec![1; 500_000])] {
        std::fs::write(dir.path().join("input"), &input)?;
        let script = "cmp - input && echo same >> ran; test -e mended";
        let line = ["--attempts", "2", "--id", id, "--", "sh", "-c", script];
        assert_eq!(fed(dir.path(), &line, &input)?.status.code(), Some(1), "{id}");
        // It is a part of what the run is.
        assert_eq!(fed(dir.path(), &line, &input)?.status.code(), Some(1), "{id}");
        assert_eq!(fed(dir.path(), &line, &[0xff])?.status.code(), Some(125), "{id}");
        std::fs::write(dir.path().join("mended"), "")?;
        assert_eq!(plans::ran(dir.path(), &["retry", id])?.status.code(), Some(0), "{id}");
        std::fs::remove_file(dir.path().join("mended"))?;
        let ran = std::fs::read_to_string(dir.path().join("ran"))?;
        assert_eq!(ran, "same\n".repeat(3), "{id}");
        std::fs::remove_file(dir.path().join("ran"))?;
    }
    let shown = String::from_utf8(plans::ran(dir.path(), &["show", "all", "command"])?.stdout)?;
    assert!(shown.contains("2097152 bytes that are kept with the run"), "{shown}");
    Ok(())
}

#[test]
fn a_pipe_that_nobody_writes_to_holds_nothing_up_for_long() -> Result {
    let dir = tempfile::tempdir()?;
    let mut command = antiphon(dir.path(), &["do", "--", "sh", "-c", "wc -c"]);
    command.stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    // Kept open, and silent, until it has ended.
    let idle = child.stdin.take();
    let output = child.wait_with_output()?;
    drop(idle);
    assert_eq!((output.status.code(), output.stdout.trim_ascii()), (Some(0), &b"0"[..]));
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("nothing came on standard input within 10 s"), "{said}");
    Ok(())
}

#[test]
fn what_an_option_says_wrong_is_told_of_the_option_and_shows_no_plan() -> Result {
    let dir = tempfile::tempdir()?;
    for (options, told) in [
        (["--timeout", "0s"], "--timeout: the duration must be longer than zero\n"),
        (["--stdin", "nofile"], "--stdin: there is no file nofile\n"),
        (["--usage", "loud"], "--usage: expected one of "),
        (["--env", "NOT_SET_HERE"], "--env: "),
        (["--env", "A B=1"], "--env: `A B` is not a valid name "),
        (["--secret", "A=B"], "--secret: `A=B` is not a valid name "),
        (["--id", "r"], "the command: "),
    ] {
        let command = if options[0] == "--id" { "" } else { "true" };
        let refused = fed(dir.path(), &[&options[..], &[command]].concat(), b"")?;
        let said = String::from_utf8(refused.stderr)?;
        assert!(said.starts_with(&format!("error: {told}")), "{said}");
        assert!(!said.contains(['{', '"']) && !said.contains("plan"), "{said}");
        assert_eq!(refused.status.code(), Some(125));
    }
    let passed = fed(dir.path(), &["cat"], b"a\0b")?;
    assert_eq!((passed.stdout.as_slice(), passed.status.code()), (&b"a\0b"[..], Some(0)));
    Ok(())
}
