//! `antiphon bench`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::bench::{self, BenchConditions, BenchReport};
use crate::command_error::{CommandError, Kind};
use crate::options::Options;
use crate::state_dir;

/// Measure performance on this machine, and print medians and conditions
///
/// Files are written to a temporary directory inside the state directory, so that its disk is what
/// is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of measurements, or prefixes of names; all by default
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Be the idle engine that another process measures
    #[arg(long, hide = true, conflicts_with = "names")]
    idle: bool,
    /// Be the kernel whose memory another process measures
    #[arg(long, hide = true, conflicts_with = "names")]
    kernel_memory: bool,
    /// Be the engine with running sessions that another process measures
    #[arg(long, hide = true, conflicts_with = "names")]
    sessions_memory: bool,
    /// Be the engine with many keys that another process measures
    #[arg(long, hide = true, conflicts_with = "names")]
    keys_memory: bool,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let dir = state_dir::find(options);
        if self.idle {
            return bench::idle(&dir).map(|()| ExitCode::SUCCESS);
        }
        if self.kernel_memory {
            return bench::kernel_memory().map(|()| ExitCode::SUCCESS);
        }
        if self.sessions_memory {
            return bench::sessions_memory(&dir).map(|()| ExitCode::SUCCESS);
        }
        if self.keys_memory {
            return bench::keys_memory(&dir).map(|()| ExitCode::SUCCESS);
        }
        let selection = bench::select(&self.names)?;
        let below = existing(&dir);
        let place = tempfile::Builder::new().prefix("bench-").tempdir_in(&below);
        let place = place.map_err(|error| {
            CommandError::new(
                Kind::State,
                format!("cannot make a directory in {}: {error}", below.display()),
            )
            .with_hint("choose one on the disk to be measured with --dir")
        })?;
        let conditions = BenchConditions::here(place.path())?;
        let (measured, failed) = bench::run(place.path(), &selection);
        let report = BenchReport::new(conditions, measured);
        if options.json {
            anstream::println!(
                "{}",
                serde_json::to_string_pretty(&report).map_err(CommandError::internal)?
            );
        } else {
            anstream::print!("{}", report.text());
        }
        if failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        Err(CommandError::internal(format!("not measured: {}", failed.join("; "))))
    }
}

/// The directory, or the nearest one above it that exists.
fn existing(dir: &Path) -> PathBuf {
    // An empty path is the last ancestor of a relative one.
    let above = dir.ancestors().find(|dir| dir.is_dir());
    above.and_then(|dir| dir.canonicalize().ok()).unwrap_or_else(|| PathBuf::from("."))
}
