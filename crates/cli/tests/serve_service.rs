//! The unit of `serve` in docs/recipes.md: what systemd would do with it is done here, as far as that
//! goes without systemd.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::plans::{self, Result, Running, heard, pipe, plan, ran};
use rustix::process::Signal;

/// The unit, for a home directory.
fn unit(home: &Path) -> Result<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes.md");
    let page = std::fs::read_to_string(page)?;
    let mut blocks = page.split("```ini\n").skip(1).filter_map(|rest| rest.split("```").next());
    let unit = blocks.find(|block| block.contains("Type=notify")).ok_or("no unit")?;
    Ok(unit.replace("%h", home.to_str().ok_or("a path that is no text")?))
}

fn value<'a>(unit: &'a str, key: &str) -> Result<&'a str> {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.ok_or_else(|| format!("the unit has no {key}").into())
}

/// A home directory in which the binary is where the unit looks for it.
fn home() -> Result<tempfile::TempDir> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir_all(home.path().join(".cargo/bin"))?;
    let installed = home.path().join(".cargo/bin/antiphon");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_antiphon"), installed)?;
    std::fs::create_dir(home.path().join("work"))?;
    Ok(home)
}

#[test]
fn systemd_finds_nothing_wrong_with_it() -> Result {
    let home = home()?;
    let file = home.path().join("antiphon.service");
    std::fs::write(&file, unit(home.path())?)?;
    let verify = Command::new("systemd-analyze").args(["verify", "--user"]).arg(&file).output();
    let found = match verify {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let said = String::from_utf8(found.stderr)?;
    // Where there is no session of systemd it may say that, and looks at the unit all the same.
    let about: Vec<&str> = said.lines().filter(|line| line.contains("antiphon")).collect();
    assert_eq!(about, Vec::<&str>::new(), "{said}");
    Ok(())
}

#[test]
fn it_is_ready_when_it_can_be_reached_and_a_stop_leaves_runs_to_the_next_start() -> Result {
    let home = home()?;
    let unit = unit(home.path())?;
    assert_eq!((value(&unit, "Type")?, value(&unit, "KillMode")?), ("notify", "mixed"));
    let work = home.path().join("work");
    for name in ["runs", "ends"] {
        pipe(&work, name)?;
    }
    plan(&work, "  only: { shell: 'echo now > runs; read line < ends' }\n")?;
    let address = home.path().join("notify");
    let told = UnixDatagram::bind(&address)?;
    let start = || -> Result<Running> {
        let mut line = value(&unit, "ExecStart")?.split(' ');
        let mut engine = Command::new(line.next().ok_or("no program")?);
        engine.args(line).env("NOTIFY_SOCKET", &address).env_remove("ANTIPHON_DIR");
        engine.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Running(engine.spawn()?))
    };
    let hears = |state: &str| -> Result {
        let mut message = [0; 64];
        let length = told.recv(&mut message)?;
        assert_eq!(std::str::from_utf8(&message[..length])?, state);
        Ok(())
    };
    let dir = work.join(".antiphon");
    let on_it = |arguments: &[&str]| -> Result<plans::Ran> {
        let dir = dir.to_str().ok_or("a path that is no text")?;
        ran(&work, &[arguments, &["--dir", dir]].concat())
    };
    let engine = start()?;
    hears("READY=1")?;
    let submitted = on_it(&["run", "--detach", "--id", "r", "plan.yaml"])?;
    assert_eq!(submitted.status.code(), Some(0), "{submitted:?}");
    heard(&work.join("runs"))?;
    engine.signal(Signal::TERM)?;
    hears("STOPPING=1")?;
    let ended = engine.end()?;
    // Anything else would be a failure to systemd.
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let said = String::from_utf8(ended.stderr)?;
    assert!(said.contains("left unfinished, unless who follows them takes over: r;"), "{said}");

    let engine = start()?;
    hears("READY=1")?;
    heard(&work.join("runs"))?;
    plans::say(&work.join("ends"), "now")?;
    assert_eq!(on_it(&["wait", "r"])?.status.code(), Some(0));
    engine.signal(Signal::TERM)?;
    hears("STOPPING=1")?;
    assert_eq!(engine.end()?.status.code(), Some(0));
    Ok(())
}
