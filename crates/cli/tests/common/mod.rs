//! A ledger that an engine has left, and the real binary run on it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::id::{CoordinationId, Version};
use antiphon::world::EraseRequest;
use antiphon::{Engine, Failed, Output as Put, SessionContext};

/// A directory with a ledger in `state`.
pub(crate) struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    /// A directory without a ledger.
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// `build` succeeded after a retry, `broken` failed and was skipped, `service` is open and
    /// runs.
    pub(crate) fn new() -> Self {
        let fixture = Self::empty();
        fixture.block_on(async {
            let mut setup = Engine::builder(fixture.state()).unwrap();
            setup
                .register("greet", |session: SessionContext| async move {
                    Ok(Put::text(format!("hello from {}", session.work())))
                })
                .unwrap();
            setup
                .register("flaky", |session: SessionContext| async move {
                    if session.attempt() == 1 {
                        Err(Failed::because("no \u{1b}[31mluck"))
                    } else {
                        Ok(Put::text("done").with_usage(120, 0))
                    }
                })
                .unwrap();
            setup
                .register("fail", |_: SessionContext| async move {
                    Err(Failed::because("it cannot be done"))
                })
                .unwrap();
            let engine = setup.start().await.unwrap();
            let of = |work| CoordinationConfig::of_work(work, budget()).unwrap();

            let compile = WorkSpec::function("compile", "greet").unwrap();
            let test = WorkSpec::function("test", "flaky").unwrap().needs_work("compile").unwrap();
            let build = of(vec![compile, test]).with_id("build").unwrap().with_name("Build it");
            let bad = WorkSpec::function("bad", "fail").unwrap().with_attempts(1);
            let after = WorkSpec::function("after", "greet").unwrap().needs_work("bad").unwrap();
            let broken = of(vec![bad, after]).with_id("broken").unwrap();
            for config in [build, broken] {
                let run = engine.submit(config).await.unwrap();
                run.wait().await.unwrap();
            }
            engine
                .submit(
                    CoordinationConfig::open(Vec::new(), budget())
                        .unwrap()
                        .with_id("service")
                        .unwrap(),
                )
                .await
                .unwrap();
            engine.close().await.unwrap();
        });
        fixture
    }

    /// The same after a payload of `build` was erased.
    pub(crate) fn erased() -> Self {
        let fixture = Self::new();
        fixture.block_on(async {
            let engine = Engine::builder(fixture.state()).unwrap().start().await.unwrap();
            let payloads = Some((CoordinationId::new("build").unwrap(), vec![Version(6)]));
            engine
                .erase(EraseRequest {
                    payloads,
                    blobs: Vec::new(),
                    reason: "on request".to_owned(),
                })
                .await
                .unwrap();
            engine.close().await.unwrap();
        });
        fixture
    }

    pub(crate) fn block_on<T>(&self, act: impl Future<Output = T>) -> T {
        tokio::runtime::Runtime::new().unwrap().block_on(act)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary with a line of arguments, to be run where the state directory is.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        command.args(line.split_whitespace()).current_dir(self.dir.path()).stdin(Stdio::null());
        command
            .env("ANTIPHON_DIR", self.state())
            .env("TZ", "UTC")
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE");
        command
    }

    /// The objects that the binary prints, one on a line, without what differs by run.
    #[must_use = "check what the binary printed"]
    pub(crate) fn objects(&self, line: &str) -> Vec<serde_json::Value> {
        let said = self.run(line);
        let (lines, end) = said.split_once("---").unwrap();
        assert!(end.starts_with(" exit"), "{said}");
        lines.lines().map(|line| stable(serde_json::from_str(line).unwrap())).collect()
    }

    /// Runs the binary where its success is all that matters.
    #[track_caller]
    pub(crate) fn succeeds(&self, line: &str) {
        let said = self.run(line);
        assert!(said.ends_with("--- exit 0\n"), "{line}: {said}");
    }

    #[must_use = "check how the binary ended, or what it printed"]
    pub(crate) fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// What the binary says with a line of arguments: standard output, standard error and exit
    /// code, without what differs by run.
    #[must_use = "check what the binary printed and how it ended"]
    pub(crate) fn run(&self, line: &str) -> String {
        let Output { status, stdout, stderr } = self.output(line);
        let stderr = String::from_utf8(stderr).unwrap();
        let mut text = String::from_utf8(stdout).unwrap();
        if !stderr.is_empty() {
            text.push_str(&format!("--- stderr\n{stderr}"));
        }
        text.push_str(&format!("--- exit {}\n", status.code().unwrap()));
        masked(&text.replace(self.dir.path().to_str().unwrap(), "<dir>"))
    }
}

fn budget() -> CoordinationBudget {
    CoordinationBudget::new(10, 60_000, 1_000, Some(5_000)).unwrap()
}

/// Asserts that texts are the same, and shows both when they are not.
#[track_caller]
pub(crate) fn check(found: &str, expected: &str) {
    assert!(found == expected, "found:\n{found}\nexpected:\n{expected}");
}

/// Takes out of an object of JSON what differs by run.
pub(crate) fn stable(mut value: serde_json::Value) -> serde_json::Value {
    const BY_RUN: [&str; 9] = [
        "at",
        "wall",
        "time",
        "started_at",
        "completed_at",
        "elapsed_ticks",
        "ticks",
        "deadline",
        "token",
    ];
    match &mut value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                *field = if BY_RUN.contains(&name.as_str()) {
                    format!("<{name}>").into()
                } else {
                    stable(field.take())
                };
            }
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| *item = stable(item.take()));
        }
        _ => {}
    }
    value
}

/// Replaces times, hashes, ages, durations and the process by their kind.
pub(crate) fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut words: Vec<String> = Vec::new();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.');
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if !is_part(first) {
            masked.push_str(word);
            // What precedes a word ends with its line.
            words.extend(word.contains('\n').then(|| "\n".to_owned()));
            continue;
        }
        masked.push_str(mask(word, &words, after));
        words.push(word.to_owned());
    }
    masked.replace("<n> commit\n", "<n> commits\n").replace("<n> commit,", "<n> commits,")
}

fn mask<'a>(word: &'a str, before: &[String], after: &str) -> &'a str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let last =
        |back: usize| before.len().checked_sub(back).map_or("", |index| before[index].as_str());
    match word {
        _ if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "<hash>",
        _ if word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T' => "<time>",
        _ if is_number(word) && last(1) == "process" => "<pid>",
        // How many turns it takes to record something is the engine's business.
        _ if is_number(word) && (last(1) == "commit" || after.starts_with(" commit")) => "<n>",
        _ if last(1) == "on" && last(3) == "process" => "<host>",
        _ if word.split_once('.').is_some_and(|(a, b)| is_number(a) && b.len() == 3)
            && after.starts_with(" s") =>
        {
            "<span>"
        }
        _ if word.strip_suffix(['s', 'm', 'h']).is_some_and(is_number) => "<age>",
        _ if word.strip_suffix('s').is_some_and(|text| text.parse::<f64>().is_ok()) => "<age>",
        _ if word.strip_suffix("s:").is_some_and(|text| text.parse::<f64>().is_ok()) => "<age>:",
        _ => word,
    }
}
