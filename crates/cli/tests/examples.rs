//! The examples, run as a user would: copied, and each with the command that its page gives.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn copy(from: &Path, to: &Path) -> Result {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "build" {
                copy(&from, &to)?;
            }
        } else {
            // The mode comes along, so what can be run can be run there.
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

fn run(dir: &Path, plan: &str, path: Option<&Path>) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
    command.current_dir(dir).args(["run", plan]).env("NO_COLOR", "1").stdin(Stdio::null());
    if let Some(first) = path {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(first.to_owned()).chain(std::env::split_paths(&rest));
        command.env("PATH", std::env::join_paths(all)?);
    }
    Ok(command.output()?)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn verify(dir: &Path) -> Result<Option<i32>> {
    let verified = Command::new(env!("CARGO_BIN_EXE_antiphon")).current_dir(dir).arg("verify").output()?;
    Ok(verified.status.code())
}

#[test]
fn codegen_absorbs_its_flaky_step_and_leaves_code_that_passes_its_tests() -> Result {
    let dir = tempfile::tempdir()?;
    copy(&example("codegen"), dir.path())?;
    let output = run(dir.path(), "plan.yaml", None)?;
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let of = |word: &str| told.lines().filter(|line| line.split_whitespace().nth(1) == Some(word)).count();
    assert_eq!((of("done"), of("retries"), of("failed")), (9, 2, 0), "{told}");
    assert_eq!(verify(dir.path())?, Some(0));
    Ok(())
}

#[test]
fn codegen_catches_a_generator_that_lies() -> Result {
    let dir = tempfile::tempdir()?;
    copy(&example("codegen"), dir.path())?;
    let output = run(dir.path(), "lying.yaml", None)?;
    let told = text(&output);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(told.contains("its check failed") && told.contains("there is no dataclass Order"), "{told}");
    assert!(told.contains("skipped validators"), "{told}");
    Ok(())
}

#[test]
fn agents_mend_the_package_within_their_budget() -> Result {
    let dir = tempfile::tempdir()?;
    copy(&example("agents"), dir.path())?;
    let output = run(dir.path(), "plan.yaml", Some(&dir.path().join("stand-in")))?;
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(told.matches("2970 tokens").count(), 2, "{told}");
    assert_eq!(verify(dir.path())?, Some(0));
    Ok(())
}
