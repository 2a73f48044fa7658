//! What `/proc` tells about processes. Every answer may be out of date when it arrives, so code
//! that acts on one checks again.
//!
//! A process that cannot be looked at for want of open files or memory is there all the same, so
//! each look outlasts that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::outlast::outlast;

/// A line of `/proc/<pid>/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessStat {
    pub(super) pid: i32,
    pub(super) comm: Vec<u8>,
    pub(super) state: char,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// Its own time and that of the children it has waited for, in clock ticks.
    pub(super) cpu_ticks: u64,
    pub(super) start: u64,
    pub(super) resident_pages: u64,
}

impl ProcessStat {
    /// Whether anything of it still runs. A leader may be a zombie while its threads live on.
    pub(super) fn is_alive(&self) -> bool {
        match self.state {
            'X' | 'x' => false,
            'Z' => names(format!("/proc/{}/task", self.pid)).is_ok_and(|tasks| tasks.len() > 1),
            _ => true,
        }
    }
}

/// One process, if it exists and is visible.
pub(super) fn stat(pid: i32) -> Option<ProcessStat> {
    parse_stat(pid, &read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(pid: i32, line: &[u8]) -> Option<ProcessStat> {
    // A process chooses its own name, brackets and all; after the last one the rest is numbers.
    let open = line.iter().position(|&byte| byte == b'(')?;
    let close = line.iter().rposition(|&byte| byte == b')')?;
    let comm = line.get(open + 1..close)?.to_vec();
    let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
    // The fields are numbered from 1 in proc(5); the first here is the third.
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |at: usize| field(at)?.parse::<u64>().ok();
    let id = |at: usize| field(at)?.parse::<i32>().ok();
    let cpu_ticks = (14..=17).filter_map(number).sum();
    Some(ProcessStat {
        pid,
        comm,
        state: field(3)?.chars().next()?,
        parent: id(4)?,
        group: id(5)?,
        session: id(6)?,
        cpu_ticks,
        start: number(22)?,
        resident_pages: number(24).unwrap_or(0),
    })
}

/// Every process that is visible.
///
/// # Errors
/// If they cannot be listed.
pub(super) fn all() -> io::Result<Vec<ProcessStat>> {
    let pids = names("/proc")?.into_iter().filter_map(|name| name.parse().ok());
    Ok(pids.filter_map(stat).collect())
}

/// What a file in `/proc` says.
pub(super) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    outlast(|| fs::read(&path))
}

fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    outlast(|| fs::read_to_string(&path))
}

fn names(directory: impl AsRef<Path>) -> io::Result<Vec<String>> {
    outlast(|| {
        let names = fs::read_dir(&directory)?.map(|entry| entry.map(|entry| entry.file_name()));
        names.map(|name| name.map(|name| name.to_string_lossy().into_owned())).collect()
    })
}

/// Those below a process, by parents.
///
/// # Errors
/// If processes cannot be listed.
pub(super) fn descendants(root: i32) -> io::Result<Vec<ProcessStat>> {
    descendants_but(root, &BTreeSet::new())
}

/// Those below a process, but for these children of it and what is below them.
///
/// # Errors
/// If processes cannot be listed.
pub(super) fn descendants_but(root: i32, spared: &BTreeSet<i32>) -> io::Result<Vec<ProcessStat>> {
    let mut by_parent: BTreeMap<i32, Vec<ProcessStat>> = BTreeMap::new();
    for seen in all()? {
        by_parent.entry(seen.parent).or_default().push(seen);
    }
    let mut found = Vec::new();
    let mut known = BTreeSet::from([root]);
    let mut below = vec![root];
    while let Some(parent) = below.pop() {
        for seen in by_parent.remove(&parent).unwrap_or_default() {
            let is_spared = seen.parent == root && spared.contains(&seen.pid);
            if !is_spared && known.insert(seen.pid) {
                below.push(seen.pid);
                found.push(seen);
            }
        }
    }
    Ok(found)
}

/// The children of the calling process, which must have one thread; `None` where the kernel does
/// not tell. Also sees what a restricted `/proc` hides.
pub(super) fn own_children() -> Option<Vec<i32>> {
    let pid = rustix::process::getpid().as_raw_nonzero();
    let children = read_text(format!("/proc/self/task/{pid}/children")).ok()?;
    Some(children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// The hard limit of a process on its resident set, which since Linux 2.4 limits nothing. `None`
/// also for "unlimited".
pub(super) fn resident_limit(pid: i32) -> Option<u64> {
    let limits = read_text(format!("/proc/{pid}/limits")).ok()?;
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max resident set"))?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

/// Whether a process has a variable of this exact form in the environment that it was started with.
pub(super) fn has_variable(pid: i32, pair: &[u8]) -> bool {
    read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|had| had == pair))
}

/// The effective user of a process.
pub(super) fn user(pid: i32) -> Option<u32> {
    let status = read_text(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))?
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let line = b"77 (a) S 1 (b)) R 5 6 7 0 -1 0 0 0 0 0 10 20 3 4 20 0 1 0 999 4096 12 0 0";
        let expected = ProcessStat {
            pid: 77,
            comm: b"a) S 1 (b)".to_vec(),
            state: 'R',
            parent: 5,
            group: 6,
            session: 7,
            cpu_ticks: 37,
            start: 999,
            resident_pages: 12,
        };
        assert_eq!(parse_stat(77, line), Some(expected));
    }

    #[test]
    fn a_torn_line_is_no_process() {
        for line in [&b""[..], b"77 (a", b"77 (a) R 5", b"77 (a) R x 6 7"] {
            assert_eq!(parse_stat(77, line), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in proptest::collection::vec(proptest::sample::select(b"() SZ-0179x\xff".to_vec()), 0..80)) {
            parse_stat(1, &line);
        }
    }
}
