//! The log of an engine: what it and its server tell, one JSON object on a line.

mod rotated_file;

use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::command_error::{CommandError, Kind};
use rotated_file::RotatedFile;

/// What the targets of our crates begin with: what libraries tell is not for an operator.
const OURS: &str = "antiphon";

#[derive(Debug, clap::Args)]
pub(super) struct LogOptions {
    /// Log events of this level and above as lines of JSON, to standard error unless --log-file is given
    #[arg(long, value_name = "LEVEL", value_enum)]
    log_level: Option<Level>,
    /// Append the log to this file, of 10 MiB at most, with five older ones as FILE.1 to FILE.5; the
    /// level is `info` unless --log-level is given
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Level {
    /// Trouble that the engine could not deal with
    Error,
    /// Trouble that it dealt with, and what went wrong with a session's leftovers
    Warn,
    /// Engines, runs and sessions as they come and go, and refused requests
    Info,
    /// Every request
    Debug,
    /// All there is
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

impl LogOptions {
    /// Has what is told from here on written, if that is asked for.
    pub(super) fn install(&self) -> Result<(), CommandError> {
        let level = self.log_level.unwrap_or(Level::Info);
        match (&self.log_file, self.log_level) {
            (Some(path), _) => {
                let file = RotatedFile::open(path).map_err(|error| {
                    let what = format!("cannot write the log to {}: {error}", path.display());
                    CommandError::new(Kind::Usage, what).with_hint(
                        "name a file in a writable directory that no other engine writes to",
                    )
                })?;
                install(level, Mutex::new(file))
            }
            (None, Some(level)) => install(level, io::stderr),
            (None, None) => Ok(()),
        }
    }
}

fn install<W>(level: Level, writer: W) -> Result<(), CommandError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .log_internal_errors(false)
        .with_writer(writer)
        .with_filter(Targets::new().with_target(OURS, LevelFilter::from(level)));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines))
        .map_err(CommandError::internal)
}
