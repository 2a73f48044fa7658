//! `antiphon signal send`: a message to whoever listens to a run.

use std::process::ExitCode;

use antiphon::plan::Millis;
use antiphon_server::{Code, Problem, SignalDedup, SignalRequest};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

use super::wanted::field;
use crate::command_error::CommandError;
use crate::connection::Connection;
use crate::given::Given;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::stdout::Stdout;

const QUOTED: &str =
    "a text needs quotes of its own, as in --data '\"text\"'; --field NAME=TEXT needs none";

/// Send a signal, and return once it is durable
///
/// A session speaks in the name of its item, and only while it lasts: after that this exits with 13, and
/// nothing changes. Everybody else speaks as `operator`, or in the name that --from gives. Without a
/// running engine the signal is recorded all the same.
///
/// Examples:
///   antiphon signal send tests_passed --field suite=unit --to reviewer
///   antiphon signal send review.done --data @review.json --once "$COMMIT" --within 1h
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// What kind of message it is, such as `stage_completed` or `review.requested`
    #[arg(value_name = "TYPE")]
    kind: String,
    /// What it carries: JSON, `@FILE` for what is in a file, or `-` for what is on standard input
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    data: Option<String>,
    /// A member of what it carries: JSON, or else text; may be repeated
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field, conflicts_with = "data")]
    fields: Vec<(String, Value)>,
    /// Whom it is for; may be repeated; by default everybody
    #[arg(long, value_name = "AGENT")]
    to: Vec<String>,
    /// In whose name it is sent
    #[arg(long, value_name = "AGENT")]
    from: Option<String>,
    /// Whom it is about; by default `agent_id` in what it carries, else its sender
    #[arg(long, value_name = "AGENT")]
    about: Option<String>,
    /// It tells of a failure
    #[arg(long)]
    failed: bool,
    /// Do not record it again if its sender has sent this type under the same key before
    #[arg(long, value_name = "KEY")]
    once: Option<String>,
    /// How long the key is known; at most, and by default, 24h
    #[arg(long, value_name = "DURATION", requires = "once")]
    within: Option<Millis>,
    /// How many keys of the sender are known at a time; at most, and by default, 10000
    #[arg(long, value_name = "N", requires = "once")]
    cap: Option<u32>,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let (id, unknown) = self.run.addressed(&ledger)?;
        let signal = self.signal()?;
        on_a_runtime(async {
            let send = async |connection: &Connection, key: &str| {
                connection.client.signal(&id, &signal, Some(key)).await
            };
            let (accepted, _) =
                Connection::command(&ledger.dir, send).await.map_err(|error| match unknown {
                    Some(unknown) if code(&error) == Some(Code::UnknownRun) => unknown,
                    _ => error,
                })?;
            let mut output = Stdout::open();
            match options.json {
                true => output.json(&accepted)?,
                false => {
                    let version = accepted.version;
                    output.line(format!("{} sent to {id}, version {version}", signal.r#type))?;
                }
            }
            output.finish()?;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn signal(&self) -> Result<SignalRequest, CommandError> {
        let data = match &self.data {
            Some(data) => {
                let data = Given::read(data, "what --data gives")?.json();
                Some(data.map_err(|error| error.with_hint(QUOTED))?)
            }
            None if self.fields.is_empty() => None,
            None => {
                let fields: Map<String, Value> = self.fields.iter().cloned().collect();
                Some(to_raw_value(&fields).map_err(CommandError::internal)?)
            }
        };
        let dedup = self.once.as_ref().map(|key| SignalDedup {
            key: key.clone(),
            window_ms: self.within.map(|within| within.0),
            cap: self.cap,
        });
        Ok(SignalRequest {
            r#type: self.kind.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            about: self.about.clone(),
            failed: self.failed,
            data,
            dedup,
        })
    }
}

fn code(error: &CommandError) -> Option<Code> {
    error.problem().and_then(Problem::known_code)
}
