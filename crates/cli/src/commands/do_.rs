//! `antiphon do`: any command as a coordination of one item, with a budget, an owned tree and a
//! receipt.

mod exit;
mod options;
mod standard_input;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use antiphon::id::CoordinationId;
use antiphon::plan::{Bytes, Cost, Count, Millis, Plan, PlanError, Wanted};
use serde_json::{Map, Value, json};

use super::run::{UNDER_ANOTHER, chosen, id_of, refused_by_the_engine, see_through};
use crate::command_error::{CommandError, Kind};
use crate::connection::{Unsent, request};
use crate::diagnostics::refused;
use crate::follow::Outcome;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::runtime::on_a_runtime;
use crate::state_dir;
use crate::view::View;
pub(crate) use exit::TROUBLE;
use options::told_of_options;
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
        let sent = self.plan(&here, input.as_ref()).map_err(Unsent::Plan).and_then(|plan| {
            let ledger = Ledger::at(&state_dir::find(options));
            request(&plan, shown, &id, &ledger).map_err(|unsent| match unsent {
                Unsent::Plan(problems) => Unsent::Plan(told_of_options(problems, plan.text())),
                unsent => unsent,
            })
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
    fn plan(&self, here: &Path, input: Option<&Input>) -> Result<Plan, PlanError> {
        let command: Vec<String> = self.command.iter().map(|argument| literal(argument)).collect();
        let mut item = json!({ "command": command, "retry": { "attempts": self.attempts } });
        let mut limits = Map::new();
        let mut budget =
            json!({ "sessions": self.sessions(), "duration": self.duration.to_string() });
        let set = |item: &mut Value, key: &str, value: Option<String>| {
            if let Some(value) = value {
                item[key] = value.into();
            }
        };
        set(&mut budget, "tokens", self.tokens.as_ref().map(ToString::to_string));
        set(&mut budget, "cost", self.cost.as_ref().map(ToString::to_string));
        set(&mut item, "timeout", self.timeout.as_ref().map(ToString::to_string));
        set(&mut item, "usage", self.usage.clone());
        limits.extend(
            self.memory.as_ref().map(|memory| ("memory".to_owned(), memory.to_string().into())),
        );
        limits
            .extend(self.processes.as_ref().map(|count| ("processes".to_owned(), count.0.into())));
        if !limits.is_empty() {
            item["limits"] = limits.into();
        }
        if let Some(script) = &self.check {
            item["check"] = json!({ "shell": script });
        }
        if let Some(file) = &self.stdin {
            item["stdin"] = json!({ "file": literal(file) });
        } else if let Some(input) = input {
            item["stdin"] = input.in_plan(literal);
        }
        let mut env = Map::new();
        for variable in &self.env {
            let (name, value) = match variable.split_once('=') {
                Some((name, value)) => (name, literal(value).into()),
                None => (variable.as_str(), json!({ "from": variable })),
            };
            env.insert(name.to_owned(), value);
        }
        env.extend(self.secret.iter().map(|name| (name.clone(), json!({ "secret": name }))));
        if !env.is_empty() {
            item["env"] = env.into();
        }
        let plan = json!({ "name": self.name(), "budget": budget, "work": { "command": item } });
        let text = yaml(&plan);
        Plan::read_text(&text, "the command line", here, &Wanted::default())
            .map_err(|problems| told_of_options(problems, &text))
    }

    /// The program's name, where it can name a coordination.
    fn name(&self) -> &str {
        let program = Path::new(&self.command[0]).file_name().and_then(|name| name.to_str());
        let can_name =
            |name: &&str| name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
        program.filter(can_name).unwrap_or("command")
    }
}

/// JSON is YAML, but for characters that YAML takes only by their number.
fn yaml(plan: &Value) -> String {
    let mut text = String::new();
    for c in plan.to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => text.push(c),
        }
    }
    text
}

/// A text in which nothing is a placeholder.
fn literal(text: &str) -> String {
    text.replace("{{", "{{\"{{\"}}")
}
