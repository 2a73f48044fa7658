//! `antiphon context get`: the context of an agent.

use std::process::ExitCode;

use crate::command_error::{CommandError, Kind};
use crate::commands::key::reading::key;
use crate::ledger::Ledger;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir::session_socket;
use crate::stdout::Stdout;
use crate::text::printable_json;

/// What tells a session under which name it speaks.
const AGENT: &str = "ANTIPHON_AGENT";

/// Print the context of an agent as JSON
///
/// Inside a session it is by default that of its own agent, as it is now; the session was given it as it
/// was when it began.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose; by default the session's own agent
    #[arg(value_name = "AGENT")]
    agent: Option<String>,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let ledger = Ledger::find(options)?;
        let own = session_socket(&ledger.dir).and_then(|_| std::env::var(AGENT).ok());
        let Some(agent) = self.agent.or(own) else {
            return Err(CommandError::new(Kind::Usage, "no agent is named")
                .with_hint("outside of a session, name one: `antiphon context get AGENT`"));
        };
        let run = self.run.existing(&ledger)?;
        let Some(found) = on_a_runtime(key(&ledger, &run, &format!("context/{agent}")))? else {
            let what = format!("agent {agent} of {run} has no context");
            return Err(CommandError::new(Kind::Usage, what).with_hint(format!(
                "`antiphon key list --prefix context/ --run {run}` shows who has one"
            )));
        };
        let mut output = Stdout::open();
        match options.json {
            true => output.json(&found)?,
            false => output.line(printable_json(found.value.get()))?,
        }
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}
