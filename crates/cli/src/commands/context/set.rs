//! `antiphon context set`: gives an agent its context.

use std::process::ExitCode;

use antiphon_server::ContextsRequest;

use crate::command_error::{CommandError, Kind};
use crate::commands::key::change::recorded;
use crate::given::Given;
use crate::named::SpokenRun;
use crate::options::Options;

/// Give an agent its context, and return once that is durable
///
/// The file holds a JSON object; docs/api.md names its members, and what it does not say is filled in.
/// Sessions that begin after that find it in their context file. Without a running engine it is recorded
/// all the same. A session gives no contexts.
///
/// Examples:
///   antiphon context set reviewer reviewer.json
///   echo '{ "agent_assignment": { "objective": "review" } }' | antiphon context set reviewer -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Whose
    #[arg(value_name = "AGENT")]
    agent: String,
    /// The file that holds it, or `-` for standard input
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let Self { agent, file, run } = self;
        let from = if file == "-" { file } else { format!("@{file}") };
        let json = Given::read(&from, "the context")?.json()?;
        let context = serde_json::from_str(json.get())
            .map_err(|error| CommandError::new(Kind::Usage, format!("{agent}: {error}")))?;
        let what = format!("context of {agent} set");
        let request = ContextsRequest { contexts: [(agent, context)].into() };
        recorded(options, &run, &format!("{what} in"), async |client, id, key| {
            client.distribute_contexts(id, &request, Some(key)).await
        })
    }
}
