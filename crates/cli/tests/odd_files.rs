//! Files that are no files by the time they are opened, and plans from where no file is.

mod plans;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use plans::{Result, ran};

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
    assert_eq!(said.matches("it is a pipe, not a regular file").count(), 8, "{said}");
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
    assert_eq!(said.matches("is missing: there is no file").count(), 1, "{said}");
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
