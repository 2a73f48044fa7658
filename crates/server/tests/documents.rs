//! What the documents say of the API is what it does: every example is run with curl against an
//! engine in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::common::{Result, Setting, engine, start, steady};
use antiphon::id::{CoordinationId, Version};
use antiphon_server::{Client, Code, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// Says to this program, run again, that it is the engine's process, and where the state directory
/// is.
const STATE: &str = "ANTIPHON_TEST_STATE";

fn document(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
fn every_error_code_is_in_the_table_and_no_other() -> Result {
    let text = std::fs::read_to_string(document("error-codes.md"))?;
    let rows: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split(" | ").take(3).collect::<Vec<_>>().join(" | "))
        .collect();
    let codes: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("| `{code}` | {} | {}", code.status(), code.title()))
        .collect();
    assert_eq!(rows, codes);
    let problems: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with("| `") && line.split(" | ").count() != 4)
        .map(str::to_owned)
        .collect();
    assert_eq!(problems, Vec::<String>::new(), "each says what to do");
    Ok(())
}

/// Not a test of its own: the engine's process of the one below, which ends with its standard
/// input.
#[tokio::test]
async fn engine_in_a_process_of_its_own() -> Result {
    let Some(dir) = std::env::var_os(STATE) else { return Ok(()) };
    let release = CancellationToken::new();
    let setting = Setting { processes: true, ..Setting::default() };
    let engine = engine(Path::new(&dir), &release, &setting).await?;
    start(&engine, "inbox", "open").await?;
    let server = Server::bind(&dir, engine.clone()).await?;
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(server.serve(shutdown.clone()));
    println!("\nready");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await??;
    release.cancel();
    shutdown.cancel();
    served.await?;
    engine.close().await?;
    Ok(())
}

/// A command of a document with what it prints.
struct Example {
    command: String,
    printed: String,
}

/// The text between the examples, and the examples.
fn parts(text: &str) -> (Vec<String>, Vec<Example>) {
    let (mut between, mut examples, mut rest) = (Vec::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (block, after) = after.split_once("```\n").expect("an example has an end");
        let mut example = Example { command: String::new(), printed: String::new() };
        for line in block.lines() {
            match line
                .strip_prefix("$ ")
                .or_else(|| line.strip_prefix("> ").filter(|_| example.printed.is_empty()))
            {
                Some(command) => example.command.push_str(&format!("{command}\n")),
                None => example.printed.push_str(&format!("{line}\n")),
            }
        }
        between.push(before.to_owned());
        examples.push(example);
        rest = after;
    }
    between.push(rest.to_owned());
    (between, examples)
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "its sessions are processes, which need Linux")]
async fn every_example_of_the_api_prints_what_the_document_says() -> Result {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join(".antiphon");
    let mut process = Command::new(std::env::current_exe()?)
        .args(["documents::engine_in_a_process_of_its_own", "--exact", "--nocapture", "--quiet"])
        .env(STATE, &dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    while line != "ready\n" {
        line.clear();
        assert_ne!(lines.read_line(&mut line).await?, 0, "the engine's process ended");
    }
    let client = Client::connect(&dir).await?;
    for (id, plan) in [
        ("build", "work:\n  models: { command: [echo, built], env: { LEVEL: 2 } }\n"),
        ("batch", "work:\n  first: { command: [sleep, 1h] }\n"),
    ] {
        let request = antiphon_server::SubmitRequest {
            plan: format!("name: {id}\nbudget: {{ sessions: 100, duration: 10m }}\n{plan}"),
            name: format!("{id}.yaml"),
            directory: "/tmp".to_owned(),
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            secrets: Default::default(),
            id: Some(id.to_owned()),
        };
        client.submit(&request, None).await?;
    }
    come_to(&client, "build", "coordination.completed").await?;
    come_to(&client, "batch", "coordination.session_bound").await?;

    let text = std::fs::read_to_string(document("api.md"))?;
    let (between, mut examples) = parts(&text);
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    for example in &mut examples {
        let output = Command::new("sh")
            .args(["-c", &example.command])
            .current_dir(folder.path())
            .output()
            .await?;
        let printed = String::from_utf8(output.stdout)?;
        if update && steady(&printed) != steady(&example.printed) {
            example.printed.clone_from(&printed);
        } else {
            assert_eq!(
                steady(&printed),
                steady(&example.printed),
                "{}; UPDATE_TRANSCRIPTS=1 writes it anew",
                example.command
            );
        }
        if printed.contains("\"id\":\"nightly\",\"existing\":false") {
            come_to(&client, "nightly", "coordination.session_bound").await?;
        }
    }
    if update {
        let mut text = String::new();
        for (before, Example { command, printed }) in between.iter().zip(&examples) {
            let command = command.trim_end().replace('\n', "\n> ");
            text.push_str(&format!("{before}```console\n$ {command}\n{printed}```\n"));
        }
        text.push_str(&between[examples.len()]);
        std::fs::write(document("api.md"), text)?;
    }
    assert_eq!(examples.len(), 51, "an example for each request");
    drop(process.stdin.take());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).await?;
    assert!(process.wait().await?.success(), "{rest}");
    Ok(())
}

/// Waits for an event.
async fn come_to(client: &Client, id: &str, kind: &str) -> Result {
    let mut events = client.follow(&CoordinationId::new(id)?, Version(0));
    while let Some(event) = events.next().await? {
        if event.r#type == kind {
            return Ok(());
        }
    }
    Err(format!("{id} ended without {kind}").into())
}
