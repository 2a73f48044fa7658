//! The binary on a terminal, and that terminal's screen, as far as `antiphon run` uses one. It
//! refuses what a display that fits would never do.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The binary on a terminal of its own.
pub(crate) struct OnTerminal {
    pub(crate) child: Child,
    printed: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    size: (usize, usize),
}

impl OnTerminal {
    /// Starts it with arguments, on the state directory `state` of a directory.
    pub(crate) fn start(
        dir: &Path,
        arguments: &[&str],
        size: (u16, u16),
        change: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        crate::signals::are_heard();
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
        command.current_dir(dir).arg("--dir").arg(dir.join("state")).args(arguments);
        command
            .env_remove("NO_COLOR")
            .env_remove("HOME")
            .env("TERM", "xterm-256color")
            .env("TZ", "UTC");
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
    pub(crate) fn until(&mut self, text: &str) -> Result {
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
    pub(crate) fn between_frames(&mut self) -> Result {
        loop {
            let more = self
                .printed
                .recv()
                .map_err(|_| format!("it ended: {:?}", String::from_utf8_lossy(&self.seen)))?;
            self.seen.extend(more);
            if self.seen.ends_with(b"\x1b[?7h\x1b[?25h") {
                return Ok(());
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end; everything that it printed.
    pub(crate) fn bytes(mut self) -> Result<Vec<u8>> {
        self.child.wait()?;
        self.seen.extend(self.printed.iter().flatten());
        Ok(std::mem::take(&mut self.seen))
    }

    /// The same as text.
    pub(crate) fn text(self) -> Result<String> {
        Ok(String::from_utf8(self.bytes()?)?)
    }

    /// Waits for its end; everything that it printed, and the screen then.
    pub(crate) fn end(mut self) -> Result<(String, Screen, ExitStatus)> {
        let status = self.child.wait()?;
        self.seen.extend(self.printed.iter().flatten());
        let text = String::from_utf8(std::mem::take(&mut self.seen))?;
        let mut screen = Screen::new(self.size.0, self.size.1);
        screen.take(&text)?;
        Ok((text, screen, status))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// What was printed, also what has scrolled away, and where the cursor is.
pub(crate) struct Screen {
    rows: usize,
    columns: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    cursor: bool,
    wraps: bool,
}

impl Screen {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            lines: vec![Vec::new()],
            row: 0,
            column: 0,
            cursor: true,
            wraps: true,
        }
    }

    /// Takes in what was printed.
    pub(crate) fn take(&mut self, text: &str) -> std::result::Result<(), String> {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => self.column = 0,
                '\n' => {
                    self.row += 1;
                    if self.row == self.lines.len() {
                        self.lines.push(Vec::new());
                    }
                }
                '\u{1b}' => {
                    let sequence: String = {
                        let mut taken = String::new();
                        for character in characters.by_ref() {
                            taken.push(character);
                            if character.is_ascii_alphabetic() {
                                break;
                            }
                        }
                        taken
                    };
                    self.obey(&sequence)?;
                }
                character => self.put(character)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, character: char) -> std::result::Result<(), String> {
        // Outside a frame lines are as long as they are; in it they have to fit.
        if !self.wraps && self.column >= self.columns {
            return Err(format!(
                "line {:?} is wider than {}",
                self.lines[self.row].iter().collect::<String>(),
                self.columns
            ));
        }
        let line = &mut self.lines[self.row];
        line.resize(line.len().max(self.column + 1), ' ');
        line[self.column] = character;
        self.column += 1;
        Ok(())
    }

    fn obey(&mut self, sequence: &str) -> std::result::Result<(), String> {
        match sequence {
            "[?25l" => self.cursor = false,
            "[?25h" => self.cursor = true,
            "[?7l" => self.wraps = false,
            "[?7h" => self.wraps = true,
            "[K" => self.lines[self.row].truncate(self.column),
            "[J" => {
                self.lines.truncate(self.row + 1);
                self.lines[self.row].truncate(self.column);
            }
            up if up.ends_with('A') => {
                let up: usize =
                    up[1..up.len() - 1].parse().map_err(|_| format!("what is {up:?}?"))?;
                let top = self.lines.len().saturating_sub(self.rows);
                self.row = self
                    .row
                    .checked_sub(up)
                    .filter(|row| *row >= top)
                    .ok_or("it goes above the screen")?;
            }
            colour if colour.ends_with('m') => {}
            other => return Err(format!("nobody said what {other:?} does")),
        }
        Ok(())
    }

    /// The lines, without what is blank at the end.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .lines
            .iter()
            .map(|line| line.iter().collect::<String>().trim_end().to_owned())
            .collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Whether the cursor is there, at the beginning of a new line, and lines wrap.
    pub(crate) fn is_clean(&self) -> bool {
        self.cursor && self.wraps && self.column == 0 && self.lines[self.row].is_empty()
    }
}
