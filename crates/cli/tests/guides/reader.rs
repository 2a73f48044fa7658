//! A reader who does what a page says, in one shell, beside a clone that was built.

use std::process::{Command, Stdio};

use super::page::Step;

/// Stands alone on a line after what a command has printed.
const END: &str = "\u{1e}";

/// Runs the steps in one shell, as a reader would; gives what each of them printed.
pub(crate) fn follow(steps: &[&Step]) -> Vec<String> {
    let clone = tempfile::tempdir().unwrap();
    let built = clone.path().join("target/release");
    std::fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_antiphon"), built.join("antiphon")).unwrap();

    // The exit code that a step has left is there for the next one.
    let end = format!("{{ code=$?; echo '{END}'; (exit $code); }}\n");
    let script: String = steps.iter().map(|step| format!("{}{end}", step.typed)).collect();
    let printed = clone.path().join("printed");
    let output = std::fs::File::create(&printed).unwrap();
    let status = Command::new("timeout")
        .args(["300", "sh", "-c", &script])
        .current_dir(clone.path())
        .env("TMPDIR", clone.path())
        .env("TZ", "UTC")
        .env_remove("ANTIPHON_DIR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .status()
        .unwrap();
    let printed = std::fs::read_to_string(&printed).unwrap();
    assert!(status.success(), "{status} after\n{printed}");
    let printed = printed.replace(clone.path().to_str().unwrap(), "/tmp");
    // Shells differ in what they say of a job that was killed.
    let printed: String =
        printed.split_inclusive('\n').filter(|line| !line.contains("Killed")).collect();
    printed.split_terminator(&format!("{END}\n")).map(str::to_owned).collect()
}
