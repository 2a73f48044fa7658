//! Who may ask for what, by the kernel's word: real processes at the other end of the socket.
#![cfg(target_os = "linux")]
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use crate::common::{Bench, Result, Setting};
use antiphon::approvals::{FoundQuestion, Question};
use antiphon::digest::Digest;
use antiphon::head::Stage;
use antiphon::id::{SessionId, Version};
use antiphon::keys::{JsonText, KeyWrite};
use antiphon_server::{ClientLimits, SOCKET, SessionOf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// What a shell script prints that a process of ours runs, once the test has seen its process id.
async fn script(dir: &Path, script: &str, seen: impl FnOnce(u32)) -> Result<String> {
    let mut shell = Command::new("sh")
        .args(["-c", &format!("read go; {script}")])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    seen(shell.id().ok_or("the shell has ended")?);
    let mut input = shell.stdin.take().ok_or("no input")?;
    input.write_all(b"go\n").await?;
    drop(input);
    let mut printed = String::new();
    shell.stdout.take().ok_or("no output")?.read_to_string(&mut printed).await?;
    shell.wait().await?;
    Ok(printed)
}

fn curl(path: &str) -> String {
    format!("curl -s -w '%{{http_code}}\\n' --unix-socket {SOCKET} 'http://x{path}'")
}

/// The codes of problems and the statuses that curl printed.
fn codes(printed: &str) -> Vec<&str> {
    let mut codes = Vec::new();
    for line in printed.lines() {
        match line.split_once("\"code\":\"") {
            Some((_, rest)) => codes.extend(rest.split('"').next()),
            None if line.len() == 3 => codes.push(line),
            None => {}
        }
    }
    codes
}

/// The first session of `mine`, as soon as it is said which process its warden is.
fn warden_of_mine() -> (Arc<Mutex<Option<u32>>>, SessionOf) {
    let warden = Arc::new(Mutex::new(None));
    let known = Arc::clone(&warden);
    let session: SessionId = "mine.1".parse().unwrap();
    let session_of: SessionOf =
        Arc::new(move |pid| (*known.lock().unwrap() == Some(pid)).then(|| session.clone()));
    (warden, session_of)
}

#[tokio::test]
async fn a_process_below_the_engine_that_is_no_session_is_refused() -> Result {
    let bench = Bench::new().await?;
    let script_of = format!("{}; ( {} )", curl("/v1/health"), curl("/v1/nothing"));
    let printed = script(&bench.dir, &script_of, |_| {}).await?;
    assert_eq!(codes(&printed), ["unplaced_caller", "403", "unplaced_caller", "403"]);
    assert!(printed.contains("is a descendant of the engine and in no session"), "{printed}");
    bench.stop().await
}

#[tokio::test]
async fn a_process_inside_a_session_reads_its_own_coordination_and_nothing_else() -> Result {
    let (warden, session_of) = warden_of_mine();
    let bench = Bench::with(Setting { session_of: Some(session_of), ..Setting::default() }).await?;
    bench.start("mine", "work a hold").await?;
    bench.start("other", "work a hold").await?;
    let post = |path: &str| format!("{} -X POST", curl(path));
    let requests = [
        curl("/v1/health"),
        curl("/v1/runs/mine"),
        curl("/v1/runs/mine/events"),
        curl("/v1/runs/mine/work/a/why"),
        curl("/v1/runs/mine/receipt"),
        // However deep below its session a process is.
        format!("( ( {} ); true )", curl("/v1/runs/mine")),
        curl("/v1/runs/other"),
        curl("/v1/runs/other/events"),
        curl("/v1/runs/other/work/a/why"),
        curl("/v1/runs/unknown/receipt"),
        curl("/v1/runs"),
        curl("/v1/ledger/events"),
        curl("/v1/ledger/events?stream=ledger"),
        curl("/v1/ledger/events?stream=coordination/other"),
        curl("/v1/ledger/commits"),
        curl(&format!("/v1/ledger/blobs/{}", "0".repeat(64))),
        post("/v1/runs"),
        post("/v1/runs/mine/cancel"),
        post("/v1/runs/mine/drain"),
        post("/v1/runs/mine/close"),
        post("/v1/runs/mine/pause"),
        post("/v1/runs/mine/continue"),
        // What it says of itself does not matter.
        format!("{} -H 'x-session: none'", curl("/v1/runs/other")),
    ];
    let printed =
        script(&bench.dir, &requests.join("; "), |pid| *warden.lock().unwrap() = Some(pid)).await?;
    let mut expected = vec!["200", "200", "200", "200", "not_ended", "409", "200"];
    for _ in requests.len() - 17..requests.len() {
        expected.extend(["session_may_not", "403"]);
    }
    assert_eq!(codes(&printed), expected, "{printed}");
    assert_eq!(bench.engine.run("mine")?.status().await?.stage, Stage::Running);
    bench.stop().await
}

#[tokio::test]
async fn to_a_session_the_ledger_holds_its_own_run_alone() -> Result {
    let (warden, session_of) = warden_of_mine();
    let bench = Bench::with(Setting { session_of: Some(session_of), ..Setting::default() }).await?;
    for (run, item) in [("mine", "shout"), ("other", "whisper")] {
        bench.start(run, &format!("work {item} echo\nwork a hold {item}")).await?;
        // What the item puts out is there once the next one is bound.
        let mut events = bench.engine.run(run)?.follow_after(Version(0)).await?;
        while events.next().await?.ok_or("it ended")?.version < Version(5) {}
    }
    let (mine, other) = (Digest::of(b"shout"), Digest::of(b"whisper"));
    let requests = [
        curl("/v1/ledger/heads"),
        curl("/v1/ledger/heads?prefix=coordination/&ended=false&limit=1"),
        curl("/v1/ledger/heads?stream=coordination/mine"),
        curl("/v1/ledger/heads?status=paused"),
        curl("/v1/ledger/heads?older_than=coordination/mine"),
        curl("/v1/ledger/heads?stream=coordination/other"),
        curl("/v1/ledger/events?stream=coordination/mine&limit=2"),
        curl(&format!("/v1/ledger/blobs/{mine}")),
        curl(&format!("/v1/ledger/blobs/{other}")),
    ];
    let printed =
        script(&bench.dir, &requests.join("; "), |pid| *warden.lock().unwrap() = Some(pid)).await?;
    assert!(!printed.contains("\"coordination/other\""), "{printed}");
    let mut seen = Vec::new();
    for line in printed.lines() {
        match serde_json::from_str::<serde_json::Value>(line) {
            Ok(page) if page["heads"].is_array() => {
                let heads = page["heads"].as_array().ok_or("no heads")?;
                seen.extend(heads.iter().map(|head| head["stream"].to_string()));
                seen.push(format!("more: {}", page["more"]));
            }
            Ok(page) if page["events"].is_array() => {
                let events = page["events"].as_array().ok_or("no events")?;
                seen.extend(events.iter().map(|event| event["version"].to_string()));
            }
            Ok(problem) if problem.is_object() => seen.push(problem["code"].to_string()),
            _ => seen.push(line.to_owned()),
        }
    }
    let own = ["\"coordination/mine\"", "more: false", "200"];
    let none = ["more: false", "200"];
    let expected = [own.as_slice(), &own, &own, &none, &none, &none, &["1", "2", "200"]].concat();
    assert_eq!(seen, [expected, vec!["shout200", "\"session_may_not\"", "403"]].concat());
    bench.stop().await
}

#[tokio::test]
async fn a_session_sends_to_its_own_run_in_its_own_name_and_only_while_it_lasts() -> Result {
    let (warden, session_of) = warden_of_mine();
    let bench = Bench::with(Setting { session_of: Some(session_of), ..Setting::default() }).await?;
    bench.start("mine", "open\nwork a hold").await?;
    bench.start("other", "open").await?;
    let run = bench.engine.run("mine")?;
    let mut events = run.follow_after(Version(0)).await?;
    while events.next().await?.ok_or("it ended")?.kind != "coordination.session_bound" {}
    let send = |run: &str, from: &str| {
        let json = "-H 'content-type: application/json'";
        let body = format!("{{\"type\":\"note\"{from}}}");
        format!("{} {json} -d '{body}'", curl(&format!("/v1/runs/{run}/signals")))
    };
    let (own, named) = (send("mine", ""), send("mine", ",\"from\":\"a\""));
    let (forged, foreign) = (send("mine", ",\"from\":\"b\""), send("other", ""));
    let back = curl("/v1/runs/mine/signals?type=note");
    let requests = [own.as_str(), &named, &forged, &foreign, &send("none", ""), &back].join("; ");
    let printed = script(&bench.dir, &requests, |pid| *warden.lock().unwrap() = Some(pid)).await?;
    let may_not = ["session_may_not", "403"];
    let expected = [&["200", "200"][..], &may_not, &may_not, &may_not, &["200"]].concat();
    assert_eq!(codes(&printed), expected, "{printed}");
    assert!(printed.contains("session mine.1 speaks as a, not as b"), "{printed}");

    bench.release.cancel();
    while events.next().await?.ok_or("it ended")?.kind != "coordination.session_unbound" {}
    let before = run.status().await?;
    let requests = [own.as_str(), &forged, &own].join("; ");
    let printed = script(&bench.dir, &requests, |pid| *warden.lock().unwrap() = Some(pid)).await?;
    assert_eq!(codes(&printed), ["stale_session", "409"].repeat(3), "{printed}");
    let refused = events.next().await?.ok_or("it ended")?;
    assert_eq!(refused.kind, "coordination.write_refused");
    let after = run.status().await?;
    assert_eq!(after.version.0, before.version.0 + 1, "recorded once for all of them");
    assert_eq!(after.summary.totals.writes_refused, 1);
    bench.stop().await
}

#[tokio::test]
async fn a_session_reads_the_keys_that_all_share_and_changes_none_that_it_was_not_lent() -> Result {
    let (warden, session_of) = warden_of_mine();
    let bench = Bench::with(Setting { session_of: Some(session_of), ..Setting::default() }).await?;
    let set = |key: &str, value: u32| {
        let json = "-H 'content-type: application/json'";
        let body = format!("{{\"set\":{{\"{key}\":{value}}}}}");
        format!("{} {json} -d '{body}'", curl("/v1/runs/shared/keys"))
    };
    // From outside the first key brings the run into being.
    let first = KeyWrite::set("gate/quality".parse()?, JsonText::new("7")?)?;
    bench.engine.shared().set_keys([first]).await?;
    bench.start("mine", "work a hold").await?;
    let run = bench.engine.run("mine")?;
    let mut events = run.follow_after(Version(0)).await?;
    while events.next().await?.ok_or("it ended")?.kind != "coordination.session_bound" {}

    let list = curl("/v1/runs/shared/keys");
    let requests = [
        list.as_str(),
        &curl("/v1/runs/shared/keys/history"),
        &set("gate/quality", 8),
        &curl("/v1/runs/shared"),
        &curl("/v1/runs/shared/events"),
        &list,
    ];
    let requests = requests.join("; ");
    let printed = script(&bench.dir, &requests, |pid| *warden.lock().unwrap() = Some(pid)).await?;
    let may_not = ["session_may_not", "403"];
    let expected = [&["200", "200"][..], &may_not, &may_not, &may_not, &["200"]].concat();
    assert_eq!(codes(&printed), expected, "{printed}");
    let key = "{\"key\":\"gate/quality\",\"version\":2,\"value\":7}";
    assert_eq!(printed.matches(key).count(), 2, "{printed}");
    bench.release.cancel();
    bench.stop().await
}

#[tokio::test]
async fn a_session_asks_in_its_own_run_and_answers_nowhere() -> Result {
    let (warden, session_of) = warden_of_mine();
    let bench = Bench::with(Setting { session_of: Some(session_of), ..Setting::default() }).await?;
    bench.start("mine", "open\nwork a hold").await?;
    bench.start("other", "open").await?;
    let (run, other) = (bench.engine.run("mine")?, bench.engine.run("other")?);
    other.ask(Question::new("Theirs?")?.with_id("theirs".parse()?)?).await?;
    let mut events = run.follow_after(Version(0)).await?;
    while events.next().await?.ok_or("it ended")?.kind != "coordination.session_bound" {}
    let post = |path: &str, body: &str| {
        let json = "-H 'content-type: application/json'";
        format!("{} {json} -d '{body}'", curl(path))
    };
    let own = post("/v1/runs/mine/approvals", "{\"question\":\"Go on?\",\"id\":\"go\"}");
    let answer = |run: &str, id: &str| {
        post(&format!("/v1/runs/{run}/approvals/{id}/answer"), "{\"answer\":\"yes\"}")
    };
    let requests = [
        own.as_str(),
        &own,
        &answer("mine", "go"),
        &answer("mine", "unknown"),
        &curl("/v1/runs/mine/approvals/go"),
        &curl("/v1/runs/mine/approvals?open=true"),
        &curl("/v1/approvals"),
        &post("/v1/runs/other/approvals", "{\"question\":\"Mine?\"}"),
        &answer("other", "theirs"),
        &curl("/v1/runs/other/approvals"),
        &curl("/v1/runs/other/approvals/theirs?wait=true"),
    ];
    let printed =
        script(&bench.dir, &requests.join("; "), |pid| *warden.lock().unwrap() = Some(pid)).await?;
    let (by_session, may_not) =
        (["approval_by_session", "403"].repeat(2), ["session_may_not", "403"].repeat(4));
    let expected = [vec!["200"; 2], by_session, vec!["200"; 3], may_not].concat();
    assert_eq!(codes(&printed), expected, "{printed}");
    assert!(!printed.contains("Theirs?"), "{printed}");
    assert_eq!(printed.matches("\"question\":\"Go on?\",\"by\":\"session:mine.1\"").count(), 3);
    let open = |found: &[FoundQuestion]| {
        found.len() == 1 && found.iter().all(|found| found.state.answer.is_none())
    };
    assert!(open(&run.questions().await?) && open(&other.questions().await?));

    bench.release.cancel();
    while events.next().await?.ok_or("it ended")?.kind != "coordination.session_unbound" {}
    let late = post("/v1/runs/mine/approvals", "{\"question\":\"Too late?\"}");
    let requests = [late.as_str(), &answer("mine", "go")].join("; ");
    let printed = script(&bench.dir, &requests, |pid| *warden.lock().unwrap() = Some(pid)).await?;
    assert_eq!(codes(&printed), ["stale_session", "409"].repeat(2), "{printed}");
    assert!(open(&run.questions().await?));
    bench.stop().await
}

#[tokio::test]
async fn sessions_cannot_take_the_places_of_the_operator() -> Result {
    let (warden, session_of) = warden_of_mine();
    let limits = ClientLimits { session_connections: 1, ..ClientLimits::default() };
    let bench =
        Bench::with(Setting { session_of: Some(session_of), limits, ..Setting::default() }).await?;
    bench.start("mine", "work a hold").await?;
    let stream = format!(
        "curl -sN -H 'accept: text/event-stream' --unix-socket {SOCKET} http://x/v1/runs/mine/events"
    );
    // The first one holds the session's only place while the second one asks.
    let both = format!(
        "mkfifo first; {stream} > first & exec 3< first; read line <&3; {}; kill $!",
        curl("/v1/health")
    );
    let printed = script(&bench.dir, &both, |pid| *warden.lock().unwrap() = Some(pid)).await?;
    assert_eq!(codes(&printed), ["too_many_connections", "503"]);
    assert!(bench.get("/v1/health").await?.starts_with("HTTP/1.1 200 OK\n"));
    bench.stop().await
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_file_would_let_it() -> Result {
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else.
        return Ok(());
    }
    const NOBODY: u32 = 65_534;
    let bench = Bench::new().await?;
    let ask = |url: &'static str| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--unix-socket"])
            .arg(bench.dir.join(SOCKET))
            .arg(url)
            .uid(NOBODY)
            .gid(NOBODY);
        curl
    };
    let kept_out = ask("http://x/v1/health").output().await?;
    assert_eq!(
        (kept_out.status.code(), kept_out.stdout.len()),
        (Some(7), 0),
        "the file keeps it from connecting"
    );
    for path in [bench.folder.path(), &bench.dir, &bench.dir.join(SOCKET)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
    }
    let refused = String::from_utf8(ask("http://x/v1/health").output().await?.stdout)?;
    let expected = "{\"type\":\"urn:antiphon:error:foreign_user\",\"title\":\"The caller is not the engine's user\",\"status\":403,\
                    \"code\":\"foreign_user\",\"detail\":\"this engine belongs to user 0, and user 65534 may not use it; run the command as that user\"}\n";
    assert_eq!(refused, expected);
    bench.stop().await
}
