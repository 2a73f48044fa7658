//! Limits: that each of them bites, and what the end says then.

use std::time::Duration;

use antiphon::process::{Cause, ExitStatus, Kept, Launch, Limit, Limits};

use crate::engine::hostile;
use crate::fixture::{Fixture, marker};

async fn end_of(mode: &str, limits: Limits) -> Cause {
    let mut launch = hostile(mode, &marker(), &[]);
    launch.limits = limits;
    let ended = Fixture::new().run(launch).await;
    assert!(ended.end.clean);
    assert_eq!(ended.survivors, Vec::<String>::new());
    ended.end.cause
}

#[tokio::test]
async fn memory_of_the_tree_is_limited() {
    let cause = end_of("memory", Limits { memory: Some(100 << 20), ..Limits::default() }).await;
    assert!(
        matches!(cause, Cause::OverLimit(Limit::Memory { found }) if found > 100 << 20),
        "{cause:?}"
    );
}

#[tokio::test]
async fn processes_of_the_tree_are_limited() {
    let cause = end_of("bomb", Limits { processes: Some(20), ..Limits::default() }).await;
    assert!(
        matches!(cause, Cause::OverLimit(Limit::Processes { found }) if found > 20),
        "{cause:?}"
    );
}

#[tokio::test]
async fn processor_time_of_the_tree_is_limited() {
    let cause =
        end_of("spin", Limits { cpu: Some(Duration::from_millis(300)), ..Limits::default() }).await;
    assert!(matches!(cause, Cause::OverLimit(Limit::Cpu { found }) if found > 300), "{cause:?}");
}

#[tokio::test]
async fn open_files_and_file_size_are_limited_by_the_system() {
    let fixture = Fixture::new();
    let mut launch = Launch::new(
        ["/bin/sh", "-c", "ulimit -n; head -c 100000 /dev/zero > big; stat -c %s big"],
        "/",
    );
    let scratch = antiphon::process::Scratch::below(&std::env::temp_dir()).unwrap();
    launch.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    launch.directory = scratch.directory().into();
    launch.scratch = Some(scratch);
    launch.limits = Limits { open_files: Some(17), file_size: Some(4_096), ..Limits::default() };
    let ended = fixture.run(launch).await;
    assert_eq!(ended.folder.read(Kept::Stdout).unwrap(), b"17\n4096\n");
    assert_eq!(ended.end.status, Some(ExitStatus::Code(0)));
}
