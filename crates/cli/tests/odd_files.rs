//! Files that are no files by the time they are opened, and plans from where no file is.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::plans::{self, Result, ran};

fn write(dir: &Path, work: &str) -> Result {
    let head = "name: p\nbudget: { sessions: 400, duration: 1m }\nconcurrency: 16\nwork:\n";
    Ok(std::fs::write(dir.join("plan.yaml"), format!("{head}{work}"))?)
}

fn fed(dir: &Path, args: &[&str], input: &[u8]) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    Ok(child.wait_with_output()?)
}

#[test]
fn an_input_that_became_something_else_is_refused_and_keeps_nothing_waiting() -> Result {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("in.txt"), "hi")?;
    let mut work = String::from("  a: { shell: 'rm in.txt; mkfifo in.txt' }\n");
    for index in 0..8 {
        work += &format!(
            "  b{index}: {{ command: [cat], stdin: {{ file: in.txt }}, needs: [a], \
            retry: {{ attempts: 1 }} }}\n"
        );
    }
    work += "breaker: 100\n";
    write(dir.path(), &work)?;
    let output = ran(dir.path(), &["run", "plan.yaml"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let ends = said.lines().filter(|line| line.contains(" (session "));
    let refused = ends.filter(|line| line.ends_with("it is a pipe, not a regular file"));
    assert_eq!(refused.count(), 8, "{said}");
    Ok(())
}

#[test]
fn a_declared_output_is_a_file_or_a_directory() -> Result {
    let dir = tempfile::tempdir()?;
    let item = |make: &str, name: &str| {
        format!(
            "  {name}: {{ shell: '{make} {name}', output: {{ x: {name} }}, \
            retry: {{ attempts: 1 }} }}\n"
        )
    };
    write(dir.path(), &(item("mkdir", "d") + &item("touch", "f") + &item("mkfifo", "p")))?;
    let output = ran(dir.path(), &["run", "plan.yaml"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    let ends = said.lines().filter(|line| line.contains(" (session "));
    let missing = ends.filter(|line| line.contains("is missing: there is no file"));
    assert_eq!(missing.count(), 1, "{said}");
    assert_eq!(output.status.code(), Some(6));
    Ok(())
}

#[test]
fn a_plan_may_come_from_a_pipe() -> Result {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "  a: { shell: 'pwd > here' }\n")?;
    let text = std::fs::read(dir.path().join("plan.yaml"))?;
    for args in [["run", "-"], ["run", "/dev/stdin"]] {
        let output = fed(dir.path(), &args, &text)?;
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        let here = std::fs::read_to_string(dir.path().join("here"))?;
        assert_eq!(Path::new(here.trim()), dir.path().canonicalize()?, "where it was called");
        std::fs::remove_file(dir.path().join("here"))?;
    }
    assert_eq!(fed(dir.path(), &["plan", "check", "-"], &text)?.status.code(), Some(0));
    let endless = ran(dir.path(), &["run", "/dev/zero"])?;
    let said = String::from_utf8_lossy(&endless.stderr);
    assert!(said.contains("this file is larger than 1 MiB"), "{said}");
    assert_eq!(endless.status.code(), Some(5));
    Ok(())
}

#[test]
fn an_item_reads_what_more_cells_put_out_than_it_could_need_by_name() -> Result {
    let dir = tempfile::tempdir()?;
    let long = "x".repeat(110);
    let lists: Vec<String> = (0..320).map(|cell| format!("{long}{cell:03}")).collect();
    write(
        dir.path(),
        &format!(
            "  cell{long}: {{ command: [sh, -c, 'echo \"{{\\\"output\\\": 7}}\" > \
            $ANTIPHON_RESULT', '{{{{a}}}}'], matrix: {{ a: [{}] }} }}\n  join: {{ shell: 'cat > \
            all', stdin: '{{{{cell{long}.output}}}}', needs: [cell{long}] }}\n",
            lists.join(",")
        ),
    )?;
    let output = ran(dir.path(), &["run", "plan.yaml"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let all: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.path().join("all"))?)?;
    let all: Vec<_> = all.as_object().into_iter().flatten().collect();
    assert!(all.len() == 320 && all.iter().all(|(_, output)| **output == 7), "{all:?}");
    Ok(())
}

#[test]
fn what_is_of_no_session_is_passed_over_and_named() -> Result {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "  a: { command: ['true'] }\n")?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml"])?.status.code(), Some(0));
    let sessions = dir.path().join("state/sessions");
    std::fs::write(sessions.join(".DS_Store"), "x")?;
    std::fs::create_dir_all(sessions.join("notes"))?;
    std::fs::write(sessions.join("notes/mine"), "x")?;
    std::fs::create_dir(sessions.join("pipe"))?;
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, sessions.join("pipe/open"), fifo, mode, 0)?;
    std::fs::create_dir(sessions.join("begun"))?;
    std::fs::write(sessions.join("begun/open"), "torn")?;
    let output = ran(dir.path(), &["run", "plan.yaml", "--id", "again"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(sessions.join("notes/mine").exists() && sessions.join("pipe").exists());
    assert!(!sessions.join("begun").exists(), "nothing of it was ever spawned");
    let examined = ran(dir.path(), &["doctor"])?;
    let said = String::from_utf8_lossy(&examined.stdout);
    for name in [".DS_Store", "notes", "pipe"] {
        assert!(said.contains(&format!("{name}: of no session")), "{said}");
    }
    Ok(())
}

#[test]
fn a_state_directory_from_elsewhere_has_nothing_removed_outside_of_it() -> Result {
    let dir = tempfile::tempdir()?;
    write(dir.path(), "  a: { shell: 'cp -r state/sessions taken' }\n")?;
    assert_eq!(ran(dir.path(), &["run", "plan.yaml"])?.status.code(), Some(0));
    let theirs = dir.path().join("antiphon-important");
    std::fs::create_dir(&theirs)?;
    std::fs::write(theirs.join("work"), "of weeks")?;
    let folder = std::fs::read_dir(dir.path().join("taken"))?.flatten().next();
    let folder = folder.ok_or("no folder of the session")?.path();
    let text = std::fs::read_to_string(folder.join("open"))?;
    let mut lines = text.lines();
    let mut opened: serde_json::Value = serde_json::from_str(lines.next().unwrap_or_default())?;
    opened["scratch"] = serde_json::to_value(theirs.as_os_str().as_encoded_bytes())?;
    if text.contains("\"scratch\":\"") {
        opened["scratch"] = theirs.to_str().into();
    }
    let second = lines.next().unwrap_or_default();
    for place in ["here", "boot"] {
        if place == "boot" {
            opened["place"]["boot"] = "00000000-0000-0000-0000-000000000000".into();
        }
        let planted = dir.path().join("state/sessions").join(place);
        std::fs::create_dir_all(&planted)?;
        std::fs::write(planted.join("open"), format!("{opened}\n{second}\n"))?;
        let output = ran(dir.path(), &["run", "plan.yaml", "--id", place])?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(theirs.join("work").exists(), "{place}");
        std::fs::remove_dir_all(dir.path().join("taken"))?;
    }
    Ok(())
}

#[test]
fn a_deep_tree_that_a_session_left_is_removed() -> Result {
    let dir = tempfile::tempdir()?;
    let tmp = dir.path().join("tmp");
    std::fs::create_dir(&tmp)?;
    write(
        dir.path(),
        "  a: { shell: 'cd \"$(dirname \"$ANTIPHON_RESULT\")\"; i=0; while [ $i -lt 700 ]; do \
        mkdir directory; cd -P directory; i=$((i+1)); done' }\n",
    )?;
    let mut command = plans::antiphon(dir.path(), &["run", "plan.yaml"]);
    let output = command.env("TMPDIR", &tmp).output()?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(std::fs::read_dir(&tmp)?.count(), 0);
    Ok(())
}
