//! The socket file: private, replaced only when no engine answers, reached however long its path
//! is, gone with its server.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::process::Stdio;

use crate::common::{Bench, Result, Setting, engine, start};
use antiphon::id::{CoordinationId, Version};
use antiphon_server::{Client, ClientError, SOCKET, Server, SocketError};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// Says to this program, run again, that it is the engine to be killed, and where its state
/// directory is.
const STATE: &str = "ANTIPHON_TEST_STATE";

/// Stops the server of a bench and keeps the engine.
async fn served(bench: &mut Bench) -> Result {
    bench.shutdown.cancel();
    (&mut bench.served).await?;
    Ok(())
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_its_server() -> Result {
    let mut bench = Bench::new().await?;
    let path = bench.dir.join(SOCKET);
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
    served(&mut bench).await?;
    assert!(!path.exists());
    assert!(!bench.dir.join("api.sock.new").exists());
    assert!(
        matches!(Client::connect(&bench.dir).await, Err(ClientError::NoEngine { dir }) if dir == bench.dir)
    );
    Ok(())
}

#[tokio::test]
async fn a_socket_that_a_dead_engine_left_is_replaced() -> Result {
    let mut bench = Bench::new().await?;
    served(&mut bench).await?;
    // A listener that is dropped leaves its file, as a process that is killed does; so does one
    // that was killed while binding.
    drop(StdListener::bind(bench.dir.join(SOCKET))?);
    drop(StdListener::bind(bench.dir.join("api.sock.new"))?);
    assert!(matches!(Client::connect(&bench.dir).await, Err(ClientError::NoEngine { .. })));
    let server = Server::bind(&bench.dir, bench.engine.clone()).await?;
    bench.shutdown = CancellationToken::new();
    bench.served = tokio::spawn(server.serve(bench.shutdown.clone()));
    assert_eq!(Client::connect(&bench.dir).await?.health().await?.pid, std::process::id());
    bench.stop().await
}

#[tokio::test]
async fn a_socket_that_somebody_removes_is_made_again_and_goes_with_its_server() -> Result {
    let mut bench = Bench::new().await?;
    let path = bench.dir.join(SOCKET);
    std::fs::remove_file(&path)?;
    while Client::connect(&bench.dir).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(Client::connect(&bench.dir).await?.health().await?.pid, std::process::id());
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
    served(&mut bench).await?;
    assert!(!path.exists());
    Ok(())
}

#[tokio::test]
async fn a_socket_where_somebody_answers_is_left_alone() -> Result {
    let bench = Bench::new().await?;
    let second = Server::bind(&bench.dir, bench.engine.clone()).await.map_err(|error| error.0);
    assert!(
        matches!(second, Err(SocketError::Answered { path }) if path == bench.dir.join(SOCKET))
    );
    assert_eq!(Client::connect(&bench.dir).await?.health().await?.status, "ok");
    bench.stop().await
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() -> Result {
    let mut bench = Bench::new().await?;
    served(&mut bench).await?;
    std::fs::write(bench.dir.join(SOCKET), "mine")?;
    let refused = Server::bind(&bench.dir, bench.engine.clone()).await.map_err(|error| error.0);
    assert!(
        matches!(refused, Err(SocketError::NotASocket { path }) if path == bench.dir.join(SOCKET))
    );
    assert_eq!(std::fs::read_to_string(bench.dir.join(SOCKET))?, "mine");
    Ok(())
}

#[tokio::test]
async fn a_socket_that_took_the_place_is_not_removed() -> Result {
    let mut bench = Bench::new().await?;
    let path = bench.dir.join(SOCKET);
    std::fs::remove_file(&path)?;
    let _other = StdListener::bind(&path)?;
    served(&mut bench).await?;
    assert!(path.exists());
    Ok(())
}

#[tokio::test]
async fn only_the_process_that_holds_the_ledger_may_answer_there() -> Result {
    let bench = Bench::new().await?;
    let elsewhere = tempfile::tempdir()?;
    let refused = Server::bind(elsewhere.path(), bench.engine.clone()).await;
    let said = refused.map(|_| ()).map_err(|error| error.to_string());
    let dir = elsewhere.path().display();
    assert_eq!(
        said,
        Err(format!(
            "{dir} is not held by this process (no process holds it); only the engine that owns it may answer there"
        ))
    );
    assert!(!elsewhere.path().join(SOCKET).exists());
    bench.stop().await
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_is_reached_all_the_same() -> Result {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("d".repeat(120)).join("e".repeat(120)).join("state");
    let bench = Bench::at(folder, dir, Setting::default()).await?;
    assert!(bench.dir.join(SOCKET).as_os_str().len() > 240);
    assert_eq!(std::fs::metadata(bench.dir.join(SOCKET))?.permissions().mode() & 0o777, 0o600);
    assert_eq!(Client::connect(&bench.dir).await?.health().await?.status, "ok");
    bench.stop().await
}

/// Not a test of its own: the engine of the one below, which is killed.
#[tokio::test]
async fn engine_in_a_process_of_its_own() -> Result {
    let Some(dir) = std::env::var_os(STATE) else { return Ok(()) };
    let setting = Setting::default();
    let engine = engine(Path::new(&dir), &CancellationToken::new(), &setting).await?;
    start(&engine, "long", "work a hold").await?;
    let server = Server::bind(&dir, engine).await?;
    println!("\nready");
    server.serve(CancellationToken::new()).await;
    Ok(())
}

#[tokio::test]
async fn a_guest_goes_on_with_the_engine_that_follows_one_that_was_killed() -> Result {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().join("state");
    let mut process = Command::new(std::env::current_exe()?)
        .args(["socket::engine_in_a_process_of_its_own", "--exact", "--nocapture", "--quiet"])
        .env(STATE, &dir)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
    while lines.next_line().await?.ok_or("the engine's process ended")? != "ready" {}
    let client = Client::connect(&dir).await?;
    let mut stream = client.follow(&CoordinationId::new("long")?, Version(0));
    for version in 1..=3 {
        assert_eq!(stream.next().await?.map(|event| event.version), Some(version));
    }
    process.kill().await?;
    assert!(matches!(stream.next().await, Err(ClientError::NoEngine { .. })));
    assert!(dir.join(SOCKET).exists(), "nothing was left to remove it");
    let bench = Bench::at(folder, dir, Setting::default()).await?;
    bench.release.cancel();
    let mut types = Vec::new();
    while let Some(event) = stream.next().await? {
        types.push(format!(
            "{} {}",
            event.version,
            event.r#type.trim_start_matches("coordination.")
        ));
    }
    assert_eq!(
        types,
        ["4 resumed", "5 session_unbound", "6 session_bound", "7 session_unbound", "8 completed"]
    );
    bench.stop().await
}
