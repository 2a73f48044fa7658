//! An engine in a process of its own, so that it can be killed: it runs one session and says how
//! that went.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::process::{Guard, Launch, Scratch, Secret, WardenSetup, Wardens};

/// Reads what to do from its input, so that nothing of it is on its command line: directory,
/// marker, guard, then the mode's words.
pub(crate) fn run() {
    let lines: Vec<String> = std::io::stdin().lock().lines().map_while(Result::ok).collect();
    let [directory, marker, guard, mode, rest @ ..] = lines.as_slice() else {
        panic!("too few lines")
    };
    let guard = if guard == "off" { Guard::Off } else { Guard::Best };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let wardens =
            Wardens::open(Path::new(directory), WardenSetup { guard, ..WardenSetup::default() })
                .unwrap();
        let rest: Vec<String> = rest
            .iter()
            .map(|word| word.replace("{engine}", &std::process::id().to_string()))
            .collect();
        let mut launch = hostile(mode, marker, &rest);
        if rest.iter().any(|word| word == "limited") {
            launch.time_limit = Some(Duration::from_millis(300));
        }
        if mode == "printhold" {
            give_secret(&mut launch);
        }
        let mut running = wardens.launch(&"killed.1".parse().unwrap(), launch).await.unwrap();
        println!("runs");
        let _ = std::io::stdout().flush();
        println!("{:?}", running.ended().await);
        if rest.iter().any(|word| word == "stay") {
            let _ = std::io::stdout().flush();
            std::future::pending::<()>().await;
        }
    });
}

/// What is put into the secret that a killed session had.
pub(crate) const CANARY: &str = "canary-in-the-mine-77";

fn give_secret(launch: &mut Launch) {
    let scratch = Scratch::below(&std::env::temp_dir()).unwrap();
    let result = scratch.result_file();
    launch.environment = vec![
        ("KEY".into(), CANARY.into()),
        ("RESULT".into(), result.into()),
        ("SCRATCH".into(), scratch.directory().into()),
    ];
    launch.secrets = vec![Secret { name: "KEY".to_owned(), value: CANARY.to_owned() }];
    launch.scratch = Some(scratch);
}

/// A hostile program as a session.
pub(crate) fn hostile(mode: &str, marker: &str, rest: &[String]) -> Launch {
    let exe = std::env::current_exe().unwrap();
    let words = ["hostile", mode, marker]
        .map(PathBuf::from)
        .into_iter()
        .chain(rest.iter().map(PathBuf::from));
    let mut launch = Launch::new(std::iter::once(exe).chain(words), "/");
    launch.grace = Duration::from_millis(100);
    launch
}

/// What a program is told that runs processes without having said that it may.
pub(crate) fn open_without_entering() {
    let directory = std::env::temp_dir();
    match Wardens::open(&directory, WardenSetup::default()) {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}
