//! `antiphon run` on a terminal: what stands on the screen at its end, and that the terminal is
//! left as it was.

mod screen;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use screen::Screen;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A run on a terminal of its own.
struct Run {
    child: Child,
    printed: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    size: (usize, usize),
}

impl Run {
    fn of(dir: &Path, size: (u16, u16), change: impl FnOnce(&mut Command)) -> Result<Self> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        tcsetwinsize(
            &terminal,
            Winsize { ws_row: size.0, ws_col: size.1, ws_xpixel: 0, ws_ypixel: 0 },
        )?;
        let name = ptsname(&terminal, Vec::new())?.into_string()?;
        let side = File::options().read(true).write(true).open(name)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        // Where it is set, any terminal is taken to understand colours.
        command.env_remove("CI");
        command.current_dir(dir).arg("--dir").arg(dir.join("state")).args([
            "run",
            "--id",
            "shown",
            "plan.yaml",
        ]);
        command.env_remove("NO_COLOR").env_remove("HOME").env("TERM", "xterm-256color");
        command.stdin(Stdio::null()).stdout(side.try_clone()?).stderr(side);
        change(&mut command);
        let child = command.spawn()?;
        // The command holds the other side open, which would keep the end of the output from being
        // seen.
        drop(command);
        let (sender, printed) = channel();
        let mut terminal = File::from(terminal);
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            // Reading fails once nobody has the other side open.
            while let Ok(count @ 1..) = terminal.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, printed, seen: Vec::new(), size: (size.0.into(), size.1.into()) })
    }

    /// Waits until a text was printed.
    fn until(&mut self, text: &str) -> Result {
        while !String::from_utf8_lossy(&self.seen).contains(text) {
            let more = self.printed.recv().map_err(|_| {
                format!("it ended without {text}: {:?}", String::from_utf8_lossy(&self.seen))
            })?;
            self.seen.extend(more);
        }
        Ok(())
    }

    /// Waits until a frame has just been drawn: the next one comes a while later. A kill within a
    /// write may cut it off, which no program can help.
    fn between_frames(&mut self) -> Result {
        loop {
            let more = self.printed.recv().map_err(|_| "it ended")?;
            self.seen.extend(more);
            if self.seen.ends_with(b"\x1b[?7h\x1b[?25h") {
                return Ok(());
            }
        }
    }

    fn press_ctrl_c(&self) -> Result {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("no process")?;
        Ok(kill_process(pid, Signal::INT)?)
    }

    /// Waits for its end; everything that it printed, and the screen then.
    fn end(mut self) -> Result<(String, Screen, ExitStatus)> {
        let status = self.child.wait()?;
        self.seen.extend(self.printed.iter().flatten());
        let text = String::from_utf8(std::mem::take(&mut self.seen))?;
        let mut screen = Screen::new(self.size.0, self.size.1);
        screen.take(&text)?;
        Ok((text, screen, status))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn plan(dir: &Path, work: &str) -> Result {
    let head = "name: test\nbudget: { sessions: 200, duration: 5m }\nconcurrency: 1\nwork:\n";
    Ok(std::fs::write(dir.join("plan.yaml"), format!("{head}{work}"))?)
}

fn fifo(path: &Path) -> Result {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0)?)
}

/// Lines without what differs by run.
fn masked(lines: &[String]) -> Vec<String> {
    let is_time =
        |word: &str| word.strip_suffix('s').is_some_and(|number| number.parse::<f64>().is_ok());
    let mask = |word: &str| match word.split_once('/') {
        Some((used, ceiling)) if is_time(used) => format!("<time>/{ceiling}"),
        _ if is_time(word.trim_end_matches(',')) => "<time>".to_owned(),
        _ if word.trim_end_matches(',').len() == 64 => "<hash>".to_owned(),
        _ => word.to_owned(),
    };
    lines
        .iter()
        .map(|line| line.split_whitespace().map(mask).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_last_frame_and_the_summary_stay_on_a_clean_terminal() -> Result {
    let dir = tempfile::tempdir()?;
    plan(
        dir.path(),
        "  first: { command: [sh, -c, 'exit 0'] }\n  bad: { command: [sh, -c, 'printf \"\\033[2Jno\" >&2; exit 3'], retry: { attempts: 1 }, needs: [first] }\n  after: { command: ['true'], needs: [bad] }\n",
    )?;
    let (text, screen, status) = Run::of(dir.path(), (24, 80), |_| {})?.end()?;
    assert_eq!(
        masked(&screen.lines()),
        [
            "test partial 3 of 3 ended, 1 failed shown",
            "✓ first <time>",
            "✗ bad <time> exit 3: \\u{1b}[2Jno",
            "- after needs bad, which did not succeed",
            "sessions ░░░░░░░░ 2/200 time ░░░░░░░░ <time>/5m00s tokens 0 cost 0.00",
            "partial in <time> 2 sessions",
            "receipt <hash> verified",
            "look at it with `antiphon receipt show shown`"
        ],
        "{text:?}"
    );
    assert_eq!(status.code(), Some(6));
    assert!(screen.is_clean(), "{text:?}");
    assert!(text.contains("\u{1b}[31m✗"), "{text:?}");
    Ok(())
}

#[test]
fn ctrl_c_is_answered_above_the_frame_and_leaves_the_terminal_clean() -> Result {
    let dir = tempfile::tempdir()?;
    fifo(&dir.path().join("pipe"))?;
    plan(
        dir.path(),
        "  stays: { command: [sh, -c, 'echo here > pipe; exec sleep 300'] }\n  never: { command: ['true'], needs: [stays] }\n",
    )?;
    let mut run = Run::of(dir.path(), (24, 80), |command| _ = command.env("NO_COLOR", "1"))?;
    assert_eq!(std::fs::read_to_string(dir.path().join("pipe"))?, "here\n");
    run.press_ctrl_c()?;
    run.until("Ctrl-C again ends them")?;
    run.press_ctrl_c()?;
    let (text, screen, status) = run.end()?;
    assert_eq!(
        masked(&screen.lines())[..2],
        [
            "nothing new starts; running sessions may end. Ctrl-C again ends them",
            "running sessions are ended"
        ],
        "{text:?}"
    );
    assert!(
        screen.lines().contains(&"look at it with `antiphon receipt show shown`".to_owned()),
        "{text:?}"
    );
    assert_eq!(status.code(), Some(8));
    assert!(screen.is_clean(), "{text:?}");
    assert!(!text.split("\u{1b}[").skip(1).any(is_colour), "{text:?}");
    Ok(())
}

/// Whether what follows the beginning of a control sequence makes it a colour.
fn is_colour(text: &str) -> bool {
    text.find(|c: char| !c.is_ascii_digit() && c != ';')
        .is_some_and(|end| text[end..].starts_with('m'))
}

#[test]
fn more_items_than_rows_never_take_more_than_the_terminal_has() -> Result {
    let dir = tempfile::tempdir()?;
    let work: String = (0..40)
        .map(|n| format!("  item-with-a-long-name-{n}: {{ command: ['true'] }}\n"))
        .collect();
    plan(dir.path(), &work)?;
    for size in [(5, 40), (6, 20), (3, 200)] {
        let _none = std::fs::remove_dir_all(dir.path().join("state"));
        // The screen refuses lines that are too wide and frames that do not fit.
        let (text, screen, status) = Run::of(dir.path(), size, |_| {})?.end()?;
        assert_eq!(status.code(), Some(0), "{text:?}");
        assert!(screen.is_clean(), "{text:?}");
        let frames = screen.lines().iter().filter(|line| line.starts_with("test")).count();
        assert_eq!(frames, 1, "one frame stays: {:#?}", screen.lines());
    }
    Ok(())
}

#[test]
fn a_run_that_is_killed_leaves_the_cursor_where_it_was_seen() -> Result {
    let dir = tempfile::tempdir()?;
    fifo(&dir.path().join("pipe"))?;
    plan(dir.path(), "  stays: { command: [sh, -c, 'echo here > pipe; exec sleep 300'] }\n")?;
    let mut run = Run::of(dir.path(), (24, 80), |_| {})?;
    std::fs::read_to_string(dir.path().join("pipe"))?;
    run.until("stays")?;
    run.between_frames()?;
    run.child.kill()?;
    let (text, screen, _killed) = run.end()?;
    assert!(screen.is_clean(), "{text:?}");
    Ok(())
}

#[test]
fn a_terminal_that_obeys_nothing_gets_lines() -> Result {
    let dir = tempfile::tempdir()?;
    plan(dir.path(), "  only: { command: ['true'] }\n")?;
    let (text, screen, _status) =
        Run::of(dir.path(), (24, 80), |command| _ = command.env("TERM", "dumb"))?.end()?;
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert_eq!(
        masked(&screen.lines()),
        [
            "<time> started shown (test): 1 item, 1 at a time; at most 200 sessions, 5m00s",
            "<time> running only (session 1)",
            "<time> done only (session 1) after <time>",
            "succeeded in <time> 1 session",
            "receipt <hash> verified",
            "look at it with `antiphon receipt show shown`"
        ]
    );
    Ok(())
}
