//! What is kept of a session: outputs, result files, and no secrets.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use antiphon::process::{
    Cause, Check, ExitStatus, Kept, Launch, LaunchError, ResultFile, Scratch, Secret,
};

use crate::engine::hostile;
use crate::fixture::{Fixture, marker};

fn shell(script: &str) -> Launch {
    let mut launch = Launch::new(["/bin/sh", "-c", script], "/");
    launch.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    launch
}

#[tokio::test]
async fn a_flood_is_capped_to_the_byte_and_does_not_delay_the_end() {
    let fixture = Fixture::new();
    let mut launch = hostile("flood", &marker(), &[]);
    launch.output_cap = 1_048_576;
    let began = Instant::now();
    let ended = fixture.run(launch).await;
    assert!(began.elapsed() < Duration::from_secs(20));
    let out = ended.end.stdout;
    assert_eq!((out.kept, out.cut), (1_048_576, true));
    assert!(out.seen > out.kept);
    let printed = String::from_utf8(ended.folder.read(Kept::Stdout).unwrap()).unwrap();
    assert_eq!((printed.len(), out.tail > 260_000), (1_048_576, true));
    let left_out = out.seen - (1_048_576 - 262_144) - out.tail;
    let between = format!("\n[antiphon: {left_out} bytes were left out here]\n");
    assert_eq!(printed.replace('x', ""), between);
}

#[tokio::test]
async fn input_of_any_size_arrives_whole() {
    let fixture = Fixture::new();
    let input: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    let mut launch = hostile("cat", &marker(), &[]);
    launch.stdin = Some(input.clone());
    let ended = fixture.run(launch).await;
    assert_eq!(ended.folder.read(Kept::Stdout).unwrap(), input);
}

#[tokio::test]
async fn nothing_of_the_engine_leaks_into_a_program() {
    let fixture = Fixture::new();
    // Without close-on-exec, as a careless library would leave it.
    let (leaked, also_leaked) = rustix::pipe::pipe().unwrap();
    let mut launch = hostile("self", &marker(), &[]);
    launch.environment = vec![("ONLY".into(), "this".into())];
    launch.directory = "/usr".into();
    let ended = fixture.run(launch).await;
    let expected = "fds 0 1 2 3\nSigBlk: 0000000000000000\nSigIgn: 0000000000000000\nSigCgt: 0000000000000000\nNoNewPrivs: 1\n\
                    leads its session true\ndirectory /usr\nONLY=this\nANTIPHON_TREE=set\n";
    assert_eq!(String::from_utf8(ended.folder.read(Kept::Stdout).unwrap()).unwrap(), expected);
    drop((leaked, also_leaked));
}

#[tokio::test]
async fn a_check_judges_after_the_session_and_its_leftovers_are_gone() {
    let fixture = Fixture::new();
    let mut launch = shell("sleep 20 & echo $! > pid");
    let scratch = Scratch::below(&std::env::temp_dir()).unwrap();
    let directory = scratch.directory().to_owned();
    launch.directory = directory.clone();
    launch.scratch = Some(scratch);
    let script = "if kill -0 $(cat pid) 2>/dev/null; then exit 9; fi; echo checked; exit 4";
    let command = ["/bin/sh", "-c", script].map(OsString::from).to_vec();
    launch.check = Some(Check { command, time_limit: Duration::from_secs(10) });
    let ended = fixture.run(launch).await;
    let check = ended.end.check.unwrap();
    assert_eq!(
        (ended.end.cause, ended.end.status, ended.end.clean),
        (Cause::Exited, Some(ExitStatus::Code(0)), true)
    );
    assert_eq!((check.cause, check.status), (Cause::Exited, Some(ExitStatus::Code(4))));
    assert_eq!(ended.folder.read(Kept::CheckStdout).unwrap(), b"checked\n");
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_check_that_hangs_is_ended_after_its_own_time() {
    let fixture = Fixture::new();
    let mut launch = shell("exit 0");
    launch.grace = Duration::from_millis(50);
    let command = ["/bin/sh", "-c", "sleep 20"].map(OsString::from).to_vec();
    launch.check = Some(Check { command, time_limit: Duration::from_millis(100) });
    let ended = fixture.run(launch).await;
    assert_eq!(ended.end.check.unwrap().cause, Cause::TimedOut);
    assert!(ended.end.clean);
}

async fn result_of(fixture: &Fixture, script: &str) -> (ResultFile, Vec<u8>) {
    let mut scratch = Scratch::below(&std::env::temp_dir()).unwrap();
    scratch.files = vec![("context".to_owned(), b"given".to_vec())];
    scratch.result_cap = 100;
    let mut launch = shell(script);
    launch.environment.push(("RESULT".into(), scratch.result_file().into()));
    launch.directory = scratch.directory().into();
    launch.scratch = Some(scratch);
    let ended = fixture.run(launch).await;
    (ended.end.result, ended.folder.read(Kept::Result).unwrap())
}

#[tokio::test]
async fn a_result_file_is_read_only_if_it_is_one() {
    let fixture = Fixture::new();
    assert_eq!(result_of(&fixture, "exit 0").await, (ResultFile::Absent, Vec::new()));
    assert_eq!(
        result_of(&fixture, "cat context > $RESULT").await,
        (ResultFile::Kept, b"given".to_vec())
    );
    assert_eq!(
        result_of(&fixture, "head -c 200 /dev/zero > $RESULT").await,
        (ResultFile::TooLarge(200), Vec::new())
    );
    for hostile in ["ln -s /etc/passwd $RESULT", "mkfifo $RESULT", "mkdir $RESULT"] {
        assert_eq!(
            result_of(&fixture, hostile).await,
            (ResultFile::Unreadable, Vec::new()),
            "{hostile}"
        );
    }
}

/// Whether a value is in any file or name below a directory.
pub(crate) fn is_below(directory: &Path, value: &str) -> bool {
    std::fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        let in_content = std::fs::read(&path)
            .is_ok_and(|bytes| bytes.windows(value.len()).any(|part| part == value.as_bytes()));
        path.to_string_lossy().contains(value) || in_content || is_below(&path, value)
    })
}

#[tokio::test]
async fn a_secret_is_nowhere_in_the_state_directory() {
    let fixture = Fixture::new();
    let value = "canary-\"quoted\"-4f1c9a";
    let scratch = Scratch::below(&std::env::temp_dir()).unwrap();
    let directory = scratch.directory().to_owned();
    let mut launch = hostile("print", &marker(), &["KEY".to_owned()]);
    launch.environment = vec![
        ("KEY".into(), value.into()),
        ("RESULT".into(), scratch.result_file().into()),
        ("SCRATCH".into(), directory.clone().into()),
    ];
    launch.secrets = vec![Secret { name: "KEY".to_owned(), value: value.to_owned() }];
    launch.scratch = Some(scratch);
    let ended = fixture.run(launch).await;
    assert_eq!(
        ended.folder.read(Kept::Stdout).unwrap(),
        b"[secret KEY]\n{\"key\":\"[secret KEY]\"}\n"
    );
    assert_eq!(ended.folder.read(Kept::Stderr).unwrap(), b"error: [secret KEY] is wrong\n");
    assert_eq!(ended.folder.read(Kept::Result).unwrap(), b"{\"output\":\"[secret KEY]\"}");
    assert!(
        !is_below(fixture.directory.path(), "canary-")
            && !is_below(fixture.directory.path(), "4f1c9a")
    );
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_secret_that_is_too_short_is_refused() {
    let fixture = Fixture::new();
    let mut launch = shell("exit 0");
    launch.secrets = vec![Secret { name: "PIN".to_owned(), value: "1234567".to_owned() }];
    let refused = fixture.wardens.launch(&fixture.session(), launch).await.unwrap_err();
    assert!(matches!(refused, LaunchError::ShortSecret { name } if name == "PIN"));
}
