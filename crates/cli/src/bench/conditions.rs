//! Under which conditions something was measured.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::command_error::CommandError;

/// Syncs that are timed.
const SYNCS: usize = 200;

/// What a result depends on besides the program.
#[derive(Debug, Serialize)]
pub(crate) struct BenchConditions {
    cpu: String,
    cores: usize,
    kernel: String,
    directory: String,
    file_system: String,
    fsync_p50_us: f64,
    load_average: String,
    sqlite: &'static str,
    antiphon: &'static str,
    optimised: bool,
    date: String,
}

impl BenchConditions {
    /// Looks around, and times some syncs in the directory that is measured in.
    pub(crate) fn here(dir: &Path) -> Result<Self, CommandError> {
        let uname = rustix::system::uname();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let cpu = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map(|name| name.trim_start_matches([' ', '\t', ':']));
        let load = read("/proc/loadavg");
        Ok(Self {
            cpu: cpu.unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            directory: dir.display().to_string(),
            file_system: file_system(dir, &read("/proc/self/mounts")),
            fsync_p50_us: sync_time(dir).map_err(CommandError::internal)?,
            load_average: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            sqlite: antiphon::ledger::sqlite_version(),
            antiphon: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            date: date(
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            ),
        })
    }

    /// One line a condition.
    pub(crate) fn text(&self) -> String {
        let Self {
            cpu,
            cores,
            kernel,
            directory,
            file_system,
            fsync_p50_us,
            load_average,
            sqlite,
            antiphon,
            optimised,
            date,
        } = self;
        let build = if *optimised { "optimised" } else { "not optimised; measure with --release" };
        format!(
            "date         {date}\nantiphon     {antiphon} ({build}), SQLite {sqlite}\ncpu          {cpu}, {cores} cores\n\
             kernel       {kernel}\ndirectory    {directory}\nfile system  {file_system}, sync of 4 KiB p50 {fsync_p50_us} us\n\
             load average {load_average}\n"
        )
    }
}

/// The kind and device of the mount that a directory is on: the longest mount point above it.
fn file_system(dir: &Path, mounts: &str) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
        dir.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
    });
    // The last of several mounts on one point hides the others.
    mounts
        .max_by_key(|(length, _)| *length)
        .map_or_else(|| "unknown".to_owned(), |(_, found)| found)
}

/// Median time of overwriting and syncing one page, in microseconds.
fn sync_time(dir: &Path) -> std::io::Result<f64> {
    let path = dir.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.rewind()?;
        file.write_all(&[0x5a; 4096])?;
        let before = Instant::now();
        file.sync_data()?;
        times.push(before.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok((times[SYNCS / 2].as_secs_f64() * 1e7).round() / 10.0)
}

/// A moment in UTC, from seconds since 1970.
fn date(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!(
        "{year}-{month:02}-{:02}T{:02}:{:02}:{:02}Z",
        days + 1,
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let dates = [0, 951_782_400, 1_735_689_599, 4_107_542_400].map(date);
        assert_eq!(
            dates,
            [
                "1970-01-01T00:00:00Z",
                "2000-02-29T00:00:00Z",
                "2024-12-31T23:59:59Z",
                "2100-03-01T00:00:00Z"
            ]
        );
    }
}
