//! `antiphon key delete`: removes keys.

use std::process::ExitCode;

use antiphon_server::KeysRequest;

use super::change::{change, named};
use crate::command_error::{CommandError, Kind};
use crate::named::SpokenRun;
use crate::options::Options;

/// Remove keys, and return once that is durable: all that are named, or none
///
/// One that is not there is no error. With --if-version, a key that is not as expected is left as it is,
/// and this exits with 14.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which keys
    #[arg(value_name = "NAME", required = true)]
    keys: Vec<String>,
    /// Only if the key was last set at this version
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let Self { keys: delete, if_version, run } = self;
        if if_version.is_some() && delete.len() > 1 {
            return Err(CommandError::new(Kind::Usage, "--if-version is about one key"));
        }
        let what = format!("{} deleted", named(delete.iter()));
        let expected = if_version.map(|version| (delete[0].clone(), Some(version)));
        let expected = expected.into_iter().collect();
        let request = KeysRequest { delete, expected, ..KeysRequest::default() };
        change(options, &run, &request, &what)
    }
}
