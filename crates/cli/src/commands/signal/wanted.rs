//! Which signals a command is about, and what is in their data.

use antiphon_server::SignalQuery;
use serde_json::Value;

use super::heard::WantedSignals;
use crate::command_error::CommandError;

/// The signals that a command shows or waits for.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Only those that this agent sent
    #[arg(long, value_name = "AGENT")]
    from: Option<String>,
    /// Only those for this agent, and those for everybody
    #[arg(long, value_name = "AGENT")]
    to: Option<String>,
    /// Only those about this agent; what names nobody is about its sender
    #[arg(long, value_name = "AGENT")]
    about: Option<String>,
    /// Only those that tell of a failure
    #[arg(long)]
    failed: bool,
    /// Only those that do not tell of a failure
    #[arg(long, conflicts_with = "failed")]
    succeeded: bool,
    /// Only those whose data has this member; may be repeated
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, Value)>,
}

impl Wanted {
    /// Those of them that are of one of these types, if there are any.
    pub(super) fn of_types(self, types: Vec<String>) -> Result<WantedSignals, CommandError> {
        let Self { from, to, about, failed, succeeded, fields } = self;
        let failed = (failed || succeeded).then_some(failed);
        let data = fields.into_iter().collect();
        WantedSignals::new(SignalQuery { types, from, to, about, failed, data })
    }
}

/// Reads a member of data: its value is JSON, and a text where it is none.
pub(super) fn field(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("a name and a value are expected, as in `file=src/lib.rs`")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}
