//! `antiphon work add`: more items for a run, in the words of a plan or as a command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon::plan::{AddedWork, Environment, Millis, PlanError, Wanted};
use antiphon_server::WorkRequest;

use crate::command_error::{CommandError, Kind};
use crate::commands::key::change::recorded;
use crate::diagnostics::refused_as;
use crate::given::Given;
use crate::labels::counted;
use crate::named::SpokenRun;
use crate::options::Options;
use crate::plan_text::{Entry, PlanText};

/// Add items to a run, and return once that is durable
///
/// One item is a name and a command; --file reads any number of them, written as in a plan: `work`, and
/// with it `runners` and `env`. What they need and do not define are items of the run. A session adds to
/// its own run alone, within its budget, and nothing that outranks its item or has secrets. A session that
/// is over adds nothing, and this exits with 13. Without a running engine the items are recorded all the
/// same, and carried out once somebody resumes the run.
///
/// Examples:
///   antiphon work add docs --needs build -- make docs
///   antiphon work add --file more.yaml --run release
///   generate-items | antiphon work add --file -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The id of the item
    #[arg(value_name = "ITEM", required_unless_present = "file", conflicts_with = "file")]
    item: Option<String>,
    /// Its command and the arguments
    #[arg(value_name = "COMMAND", last = true, required_unless_present = "file")]
    command: Vec<String>,
    /// A file with items in the words of a plan; `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// An item or group that it needs; may be repeated
    #[arg(long, value_name = "ITEM", conflicts_with = "file")]
    needs: Vec<String>,
    /// Of the items that are ready, those with a higher priority start first
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "file")]
    priority: Option<i32>,
    /// The longest time for each of its sessions
    #[arg(long, value_name = "DURATION", conflicts_with = "file")]
    timeout: Option<Millis>,
    /// How many attempts it may take
    #[arg(long, value_name = "N", conflicts_with = "file")]
    attempts: Option<u32>,
    #[command(flatten)]
    run: SpokenRun,
}

/// Items that were written down, and how their problems are told.
struct Written {
    text: String,
    name: String,
    /// What the command line came to, if it was that.
    command_line: Option<PlanText>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let here = std::env::current_dir().map_err(|error| {
            CommandError::new(Kind::Usage, format!("cannot tell the current directory: {error}"))
        })?;
        let written = self.written()?;
        let directory = match &self.file {
            Some(file) if file != Path::new("-") => directory_of(file, &here),
            _ => here,
        };
        let (text, name) = (&written.text, &written.name);
        let read = AddedWork::read_text(text, name, &directory, &Wanted::default());
        let read = read.and_then(|work| {
            let variables = work.variables(&Environment::of_process())?;
            // Checks the rest of it, too, so that a problem is shown with its place.
            let environment = Environment::Of(variables.clone());
            Ok((work.compile_while(&environment, &Wanted::default())?, variables))
        });
        let (compiled, environment) = match read {
            Ok(read) => read,
            Err(problems) => {
                return refused_as("cannot be added", &written.told(problems), options);
            }
        };
        let what = match compiled.items.as_slice() {
            [item] => format!("{} added to", item.id),
            items => format!("{} added to", counted(items.len() as u64, "item")),
        };
        let request = WorkRequest {
            work: written.text,
            name: written.name,
            directory: directory.display().to_string(),
            environment,
        };
        recorded(options, &self.run, &what, async |client, id, key| {
            client.add_work(id, &request, Some(key)).await
        })
    }

    fn written(&self) -> Result<Written, CommandError> {
        match &self.file {
            Some(file) => {
                let shown = file.display().to_string();
                let source = if shown == "-" { shown.clone() } else { format!("@{shown}") };
                let text = Given::read(&source, "the items")?.text();
                let name = if shown == "-" { "standard input".to_owned() } else { shown };
                Ok(Written { text, name, command_line: None })
            }
            None => {
                let plan = self.plan();
                let (text, name) = (plan.as_str().to_owned(), "the command line".to_owned());
                Ok(Written { text, name, command_line: Some(plan) })
            }
        }
    }

    /// What a user would have written into a file.
    fn plan(&self) -> PlanText {
        let mut item = vec![Entry::value("command", self.command.clone()).of("the command")];
        if !self.needs.is_empty() {
            item.push(Entry::value("needs", self.needs.clone()).of("--needs"));
        }
        item.extend(
            self.priority.map(|priority| Entry::value("priority", priority).of("--priority")),
        );
        item.extend(
            self.timeout
                .map(|timeout| Entry::value("timeout", timeout.to_string()).of("--timeout")),
        );
        item.extend(self.attempts.map(|attempts| {
            Entry::entries("retry", vec![Entry::value("attempts", attempts).of("--attempts")])
        }));
        let id = self.item.as_deref().unwrap_or_default();
        PlanText::of(vec![Entry::entries("work", vec![Entry::entries(id, item)])])
    }
}

impl Written {
    fn told(&self, problems: PlanError) -> PlanError {
        match &self.command_line {
            Some(plan) => plan.told(problems),
            None => problems,
        }
    }
}

/// The directory that a file is in, absolute.
fn directory_of(file: &Path, here: &Path) -> PathBuf {
    let file = here.join(file);
    file.parent().map_or_else(|| here.to_owned(), Path::to_owned)
}
