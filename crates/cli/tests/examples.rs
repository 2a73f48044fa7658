//! The examples, run as a user would: beside a clone, with the commands that their pages give.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const CODEGEN: &str = "cargo run --release -- run examples/codegen/plan.yaml";
const LYING: &str = "cargo run --release -- run examples/codegen/lying.yaml";
const RELEASE: &str = "cargo run --release -- run examples/codegen/release.yaml";
const CODEGEN_STEPS: &str = "python3 -m unittest examples/codegen/test_steps.py";
const AGENTS: &str = r#"PATH="$PWD/examples/agents/stand-in:$PATH" cargo run --release -- run examples/agents/plan.yaml"#;
/// Spends money, so nobody runs it here.
const AGENTS_FOR_MONEY: &str = "cargo run --release -- run examples/agents/plan.yaml";
/// Shows a notification, so nobody runs it here.
const DESKTOP_FOR_REAL: &str = "cargo run --release -- run examples/on-end/desktop.yaml";
/// Posts to somebody else's machine, so nobody runs it here.
const WEBHOOK_FOR_REAL: &str = "WEBHOOK=https://chat.example/hooks/T0123456 cargo run --release -- run examples/on-end/webhook.yaml";
const DESKTOP: &str = r#"PATH="$PWD/examples/on-end/stand-in:$PATH" cargo run --release -- run examples/on-end/desktop.yaml"#;
const WEBHOOK: &str = r#"PATH="$PWD/examples/on-end/stand-in:$PATH" WEBHOOK=https://chat.example/hooks/T0123456 cargo run --release -- run examples/on-end/webhook.yaml"#;
const AGENTS_STEPS: &str = "python3 -m unittest examples/agents/test_steps.py";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// The commands of an example's page.
fn page(example: &str) -> Vec<String> {
    let text = std::fs::read_to_string(examples().join(example).join("README.md")).unwrap();
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix("$ "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_pages_give_the_commands_that_are_run_here_and_no_others() {
    assert_eq!(page("codegen"), [CODEGEN, LYING, RELEASE, CODEGEN_STEPS]);
    assert_eq!(page("agents"), [AGENTS, AGENTS_FOR_MONEY, AGENTS_STEPS]);
    assert_eq!(page("on-end"), [DESKTOP_FOR_REAL, WEBHOOK_FOR_REAL, DESKTOP, WEBHOOK]);
    let text = std::fs::read_to_string(examples().join("agents/README.md")).unwrap();
    assert!(text.contains("tested against a stand-in, never against `claude` itself"), "{text}");
}

/// A folder with the examples in it, as they are in a clone.
struct Clone(tempfile::TempDir);

impl Clone {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&examples(), &dir.path().join("examples"));
        Self(dir)
    }

    /// Runs a command of a page in a shell; `cargo run` is the binary that was built for this test.
    fn follow(&self, command: &str, stand_in: &str) -> Output {
        self.shell(command, stand_in).output().unwrap()
    }

    fn shell(&self, command: &str, stand_in: &str) -> Command {
        let antiphon = format!("'{}'", env!("CARGO_BIN_EXE_antiphon"));
        let command = command.replace("cargo run --release --", &antiphon);
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(self.0.path()).stdin(Stdio::null());
        shell
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .env("CLAUDE_STAND_IN", stand_in)
            .env_remove("ANTIPHON_DIR");
        shell
    }

    /// The same, for what it tells and the exit code that it ends with; the record holds together
    /// then.
    fn output(&self, command: &str, stand_in: &str, code: i32) -> String {
        let output = self.follow(command, stand_in);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let verified = self.follow("cargo run --release -- verify", "");
        assert!(verified.status.success(), "{verified:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if !entry.file_type().unwrap().is_dir() {
            // The mode comes along, so what can be run can be run there.
            std::fs::copy(&from, &to).unwrap();
        } else if entry.file_name() != "build" {
            copy(&from, &to);
        }
    }
}

/// How many lines tell this of an item for good.
fn count(output: &str, word: &str) -> usize {
    let lines = output.lines().filter(|line| !line.contains(", next try "));
    lines.filter(|line| line.split_whitespace().nth(1) == Some(word)).count()
}

/// How many lines tell of an attempt that will be followed by another.
fn retried(output: &str) -> usize {
    output.lines().filter(|line| line.contains(", next try ")).count()
}

#[test]
fn codegen_absorbs_its_flaky_step_and_leaves_code_that_passes_its_tests() {
    let output = Clone::new().output(CODEGEN, "", 0);
    assert_eq!(
        (count(&output, "succeeded"), retried(&output), count(&output, "failed")),
        (9, 2, 0),
        "{output}"
    );
}

#[test]
fn codegen_catches_a_generator_that_lies() {
    let output = Clone::new().output(LYING, "", 7);
    assert!(
        output.contains("its check failed") && output.contains("there is no enumeration Status"),
        "{output}"
    );
    assert!(output.contains("skipped validators"), "{output}");
}

#[test]
fn a_package_is_released_once_it_is_measured_reviewed_twice_and_approved() {
    let clone = Clone::new();
    let mut release = clone.shell(RELEASE, "");
    let mut release = release.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let question = loop {
        // It is asked when the review has led to the package.
        let waiting = clone.follow("cargo run --release -- waiting --json", "");
        let asked = String::from_utf8(waiting.stdout).unwrap();
        if let Some((_, id)) = asked.split_once(r#""id":""#) {
            assert!(asked.contains("Release the generated package?"), "{asked}");
            break id.split('"').next().unwrap().to_owned();
        }
        assert_eq!(release.try_wait().unwrap(), None, "it ended without asking");
    };
    let approved = clone.follow(&format!("cargo run --release -- approve {question}"), "");
    assert!(approved.status.success(), "{approved:?}");
    let output = release.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!((count(&told, "succeeded"), retried(&told)), (15, 3), "{told}");
    assert!(told.contains("succeeded describe#2") && told.contains("succeeded in"), "{told}");
    let receipt = clone.output("cargo run --release -- receipt show", "", 0);
    assert!(receipt.contains("signals       3: 3 models_written"), "{receipt}");
    assert!(receipt.contains("gates         coverage 1\n"), "{receipt}");
    assert!(receipt.contains(&format!("approvals     {question} yes by operator")), "{receipt}");
}

#[test]
fn agents_fix_the_package_within_their_budget() {
    let output = Clone::new().output(AGENTS, "", 0);
    assert_eq!(output.matches("2970 tokens").count(), 2, "{output}");
    assert!(output.contains("5 sessions, 5940 tokens, 0.0842 USD"), "{output}");
}

#[test]
fn an_agent_that_lies_is_not_believed_and_nothing_is_built_upon_it() {
    let output = Clone::new().output(AGENTS, "lie", 7);
    assert_eq!(
        (retried(&output), count(&output, "failed"), count(&output, "skipped")),
        (1, 1, 3),
        "{output}"
    );
}

#[test]
fn a_review_that_rejects_the_change_fails_the_run() {
    let output = Clone::new().output(AGENTS, "disapprove", 7);
    assert!(output.contains("accept.py: the reviewer rejected the change"), "{output}");
}

#[test]
fn an_agent_that_gives_up_with_an_error_fails_its_check() {
    let output = Clone::new().output(AGENTS, "error", 7);
    assert_eq!(
        (retried(&output), count(&output, "failed"), count(&output, "skipped")),
        (1, 1, 3),
        "{output}"
    );
}

#[test]
fn a_desktop_and_a_webhook_are_told_of_the_end() {
    for (command, code, told) in [
        (DESKTOP, 6, "cleanup partial\n1 ok, 1 failed\n"),
        (
            WEBHOOK,
            0,
            "{\"text\": \"ID: succeeded, 0 failed\"}\nhttps://chat.example/hooks/T0123456\n",
        ),
    ] {
        let clone = Clone::new();
        let output = clone.output(command, "", code);
        let found = std::fs::read_to_string(clone.0.path().join("examples/on-end/told")).unwrap();
        let id = output.split_whitespace().find_map(|word| word.strip_suffix('`')).unwrap();
        assert_eq!(found.replace(id, "ID"), told, "{output}");
    }
}

#[test]
fn the_steps_pass_their_own_tests() {
    for command in [CODEGEN_STEPS, AGENTS_STEPS] {
        let output = Clone::new().follow(command, "");
        assert!(output.status.success(), "{output:?}");
    }
}
