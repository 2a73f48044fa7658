//! The options that every command understands.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// State directory; by default that of the session that the command runs in, `ANTIPHON_DIR`, or the
    /// nearest `.antiphon` here or in a parent directory, else a new one here
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show and read times in UTC; by default in the local time zone, as `TZ` or the system says
    #[arg(long, global = true)]
    pub(crate) utc: bool,
}
