//! `antiphon do`: any command as a coordination of one item, with a budget, an owned tree and a
//! receipt.

mod exit;
mod standard_input;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use antiphon::id::CoordinationId;
use antiphon::plan::{Bytes, Cost, Count, Millis, Plan, Wanted};
use serde_json::json;

use super::run::{UNDER_ANOTHER, chosen, id_of, refused_by_the_engine, see_through};
use crate::command_error::{CommandError, Kind};
use crate::connection::{Unsent, request};
use crate::diagnostics::refused;
use crate::follow::Outcome;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::plan_text::{Entry, PlanText};
use crate::runtime::on_a_runtime;
use crate::state_dir;
use crate::view::View;
pub(crate) use exit::TROUBLE;
use standard_input::Input;

/// Sessions that are no attempts, as they were interrupted, lost with their engine or sent away by a
/// rate limit.
const NO_ATTEMPTS: u32 = 100;

/// Longest name that a coordination may have, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Run any command with a budget, an owned process tree and a receipt
///
/// Passes its output and its standard input on, and exits as the command does: with its code or 128 and
/// the number of the signal that ended it, 124 if a limit ended it, 126 or 127 if it cannot be executed
/// or found, 125 for any other trouble. The command sees a few standard environment variables, those
/// named with --env and --secret, and the ANTIPHON_ variables of a session.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command and its arguments; what begins with a dash after it is the command's
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<String>,
    /// Id of the run; the same command under the same id continues where it stopped
    #[arg(long, value_name = "ID", value_parser = chosen)]
    id: Option<CoordinationId>,
    /// If the run of this id has ended, run the command anew under the next free id: ID@2, ID@3, ...
    #[arg(long, requires = "id")]
    again: bool,
    /// Time limit of each attempt, after which all its processes are killed
    #[arg(long, value_name = "DURATION")]
    timeout: Option<Millis>,
    /// Maximum number of attempts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Time limit of all attempts together
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    duration: Millis,
    /// Maximum tokens; requires --usage
    #[arg(long, value_name = "N", requires = "usage")]
    tokens: Option<Count>,
    /// Maximum cost, such as "2.50 USD"; requires --usage
    #[arg(long, value_name = "COST", requires = "usage")]
    cost: Option<Cost>,
    /// How its usage is read: `result`, `claude` or `claude-stream`
    #[arg(long, value_name = "HOW")]
    usage: Option<String>,
    /// Maximum memory of all its processes together
    #[arg(long, value_name = "SIZE")]
    memory: Option<Bytes>,
    /// Maximum number of processes at a time
    #[arg(long, value_name = "N")]
    processes: Option<Count>,
    /// Script for `sh -c` that runs after the command and decides whether it succeeded
    #[arg(long, value_name = "SCRIPT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    check: Option<String>,
    /// Environment variable to pass: NAME as it is here, or NAME=VALUE
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Environment variable to pass whose value is kept out of everything recorded
    #[arg(long, value_name = "NAME")]
    secret: Vec<String>,
    /// File that each attempt reads as its standard input, up to 64 MiB; by default what is piped in, up
    /// to 16 MiB, or nothing if nothing comes within 10 s
    #[arg(long, value_name = "FILE")]
    stdin: Option<String>,
    /// Pass control characters of its output on as they are, also to a terminal, which obeys them
    #[arg(long)]
    raw: bool,
}

impl Args {
    /// Runs it as a wrapper does: whatever is not the command's own exit is told as such.
    pub(crate) fn run(self, options: &Options) -> ExitCode {
        self.carry_out(options).unwrap_or_else(|error| {
            let code = exit::of_error(&error);
            error.report();
            code
        })
    }

    fn carry_out(self, options: &Options) -> Result<ExitCode, CommandError> {
        let here = std::env::current_dir().map_err(|error| {
            CommandError::new(Kind::Usage, format!("cannot tell the current directory: {error}"))
        })?;
        let id = id_of(options, self.id.clone(), self.again)?;
        let shown = Path::new("the command line");
        let input = match &self.stdin {
            Some(_) => None,
            None => standard_input::read(Duration::from_millis(self.duration.0))?,
        };
        let text = self.plan(input.as_ref());
        let plan = Plan::read_text(text.as_str(), "the command line", &here, &Wanted::default());
        let sent = plan
            .map_err(Unsent::Plan)
            .and_then(|plan| request(&plan, shown, &id, &Ledger::at(&state_dir::find(options))));
        let sent = sent.map_err(|unsent| match unsent {
            Unsent::Plan(problems) => Unsent::Plan(text.told(problems)),
            unsent => unsent,
        });
        match sent {
            Ok(request) => {
                let dir = state_dir::find(options);
                let view = if options.json {
                    View::choose(id.clone(), true)
                } else {
                    View::echo(id.clone(), dir.clone(), self.raw)
                };
                let name = request.name.clone();
                let through = see_through(&dir, id.clone(), request, UNDER_ANOTHER, view);
                match on_a_runtime(through) {
                    Ok(Outcome::Ended(outcome)) => exit::of_ended(&Ledger::at(&dir), &id, &outcome),
                    Ok(Outcome::Left(interrupt)) => Ok(exit::of_signal(interrupt.signal())),
                    Err(error) => refused_by_the_engine(error, &name, options)
                        .map(|_| ExitCode::from(exit::TROUBLE)),
                }
            }
            Err(Unsent::Plan(problems)) => {
                refused(&problems, options).map(|_| ExitCode::from(exit::TROUBLE))
            }
            Err(Unsent::Command(error)) => Err(error),
        }
    }

    /// Only attempts are limited: a command that was interrupted can be continued.
    fn sessions(&self) -> u32 {
        self.attempts.saturating_add(NO_ATTEMPTS)
    }

    /// The plan that a user would have written for it.
    fn plan(&self, input: Option<&Input>) -> PlanText {
        let command = Entry::entries("command", self.item(input)).of("the command");
        PlanText::of(vec![
            Entry::value("name", self.name()),
            Entry::entries("budget", self.budget()),
            Entry::entries("work", vec![command]),
        ])
    }

    fn budget(&self) -> Vec<Entry<'_>> {
        let tokens = self.tokens.as_ref().map(|tokens| Entry::value("tokens", tokens.to_string()));
        let cost = self.cost.as_ref().map(|cost| Entry::value("cost", cost.to_string()));
        let mut budget = vec![
            Entry::value("sessions", self.sessions()).of("--attempts"),
            Entry::value("duration", self.duration.to_string()).of("--duration"),
        ];
        budget.extend(tokens.map(|entry| entry.of("--tokens")));
        budget.extend(cost.map(|entry| entry.of("--cost")));
        budget
    }

    fn item(&self, input: Option<&Input>) -> Vec<Entry<'_>> {
        let command: Vec<String> = self.command.iter().map(|argument| literal(argument)).collect();
        let attempts = vec![Entry::value("attempts", self.attempts).of("--attempts")];
        let mut item = vec![
            Entry::value("command", command).of("the command"),
            Entry::entries("retry", attempts),
        ];
        let timeout = self.timeout.as_ref().map(ToString::to_string);
        item.extend(timeout.map(|timeout| Entry::value("timeout", timeout).of("--timeout")));
        let usage = self.usage.as_deref();
        item.extend(usage.map(|usage| Entry::value("usage", usage).of("--usage")));
        let memory = self.memory.as_ref().map(ToString::to_string);
        let memory = memory.map(|memory| Entry::value("memory", memory).of("--memory"));
        let processes = self.processes.as_ref().map(|count| Entry::value("processes", count.0));
        let processes = processes.map(|processes| processes.of("--processes"));
        let limits: Vec<Entry<'_>> = memory.into_iter().chain(processes).collect();
        item.extend((!limits.is_empty()).then(|| Entry::entries("limits", limits)));
        let check = self.check.as_ref().map(|script| json!({ "shell": script }));
        item.extend(check.map(|check| Entry::value("check", check).of("--check")));
        let file = self.stdin.as_ref().map(|file| json!({ "file": literal(file) }));
        let stdin = file.or_else(|| input.map(|input| input.in_plan(literal)));
        item.extend(stdin.map(|stdin| Entry::value("stdin", stdin).of("--stdin")));
        let env = self.variables();
        item.extend((!env.is_empty()).then(|| Entry::entries("env", env).of("--env or --secret")));
        item
    }

    /// The variables that are passed on, each once: what is said last of one counts.
    fn variables(&self) -> Vec<Entry<'_>> {
        let mut variables = BTreeMap::new();
        for variable in &self.env {
            let (name, value) = match variable.split_once('=') {
                Some((name, value)) => (name, literal(value).into()),
                None => (variable.as_str(), json!({ "from": variable })),
            };
            variables.insert(name, Entry::value(name, value).of("--env"));
        }
        for name in &self.secret {
            let secret = Entry::value(name, json!({ "secret": name })).of("--secret");
            variables.insert(name, secret);
        }
        variables.into_values().collect()
    }

    /// The program's name, where it can name a coordination.
    fn name(&self) -> &str {
        let program = Path::new(&self.command[0]).file_name().and_then(|name| name.to_str());
        let can_name =
            |name: &&str| name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
        program.filter(can_name).unwrap_or("command")
    }
}

/// A text in which nothing is a placeholder.
fn literal(text: &str) -> String {
    text.replace("{{", "{{\"{{\"}}")
}
