//! Who of a session is still there, seen from outside and by other means than the engine's own.

use std::fs;
use std::path::Path;

/// What tells the processes of one session from all others.
pub(crate) struct Oracle {
    marker: String,
    mark: Option<String>,
}

impl Oracle {
    /// Knows the word on the command line of the session's programs.
    pub(crate) fn of(marker: &str) -> Self {
        Self { marker: marker.to_owned(), mark: None }
    }

    /// And the limit that is written down for it, for processes that have no command line any more.
    pub(crate) fn with_folder(mut self, folder: &Path) -> Self {
        let open = fs::read_to_string(folder.join("open")).unwrap_or_default();
        self.mark = open.split_once("\"tattoo\":{\"value\":").and_then(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (!digits.is_empty()).then_some(digits)
        });
        self
    }

    /// Those who live, with their states.
    pub(crate) fn survivors(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let limits = fs::read_to_string(entry.path().join("limits")).unwrap_or_default();
            let is_marked = self.mark.as_ref().is_some_and(|mark| limits.contains(mark.as_str()));
            if !command.contains(&self.marker) && !is_marked {
                continue;
            }
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let state =
                stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?');
            let threads = fs::read_dir(entry.path().join("task")).map_or(0, Iterator::count);
            if state == 'X' || state == 'Z' && threads < 2 {
                continue;
            }
            found.push(format!("{name} {state} {command}"));
        }
        found
    }
}

/// The subreapers of a state directory that live, by their arguments.
pub(crate) fn subreapers_of(directory: &Path) -> Vec<String> {
    let path = directory.canonicalize().unwrap();
    let all = Oracle::of("antiphon-subreaper __subreaper ").survivors();
    all.into_iter().filter(|line| line.contains(&format!(" {} ", path.display()))).collect()
}
