//! `antiphon route test`: which rule would decide about an attempt.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use antiphon::plan::{Plan, RouteRule, RouteRules};
use antiphon::routing::Route;
use serde_json::{Value, json};

use crate::command_error::{CommandError, Kind};
use crate::diagnostics::refused;
use crate::options::Options;
use crate::stdout::Stdout;
use crate::table::Table;
use crate::text::printable;

/// Show which rule of an item would decide what follows an attempt
///
/// Nothing runs. The state is a JSON object with what conditions look at, for instance
/// {"outcome": "success", "attempt": 1, "output": {"approved": true}}; what is not in it is absent.
/// With --json, prints one object: item, rules (name, when, holds), decided (rule, decision, to,
/// reason), which is null where no rule holds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plan file; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file that says how the attempt went; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// The item; needed where several have rules
    #[arg(long, value_name = "ITEM")]
    item: Option<String>,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        if self.file == Path::new("-") && self.state == Path::new("-") {
            let message = "the plan and the state cannot both be read from standard input";
            return Err(CommandError::new(Kind::Usage, message));
        }
        let plan = match crate::commands::plan::read(&self.file) {
            Ok(plan) => plan,
            Err(problems) => return refused(&problems, options),
        };
        let (item, rules) = chosen(&plan, self.item.as_deref())?;
        let state = state(&self.state)?;
        let mut output = Stdout::open();
        print(item, rules, &state, options, &mut output)?;
        output.finish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The item that is meant, and its rules.
fn chosen<'p>(
    plan: &'p Plan,
    item: Option<&str>,
) -> Result<(&'p str, &'p RouteRules), CommandError> {
    let all = plan.route_rules();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let listed = names.join(", ");
    let refused = |message: String| CommandError::new(Kind::Usage, message);
    match (item, all.as_slice()) {
        (_, []) => Err(refused("no item of this plan has a `route`".to_owned())),
        (None, [one]) => Ok(*one),
        (None, _) => {
            let hint = format!("name one with --item: {listed}");
            Err(refused("several items of this plan have a `route`".to_owned()).with_hint(hint))
        }
        (Some(item), all) => match all.iter().find(|(name, _)| *name == item) {
            Some(found) => Ok(*found),
            None => Err(refused(format!("{item} is no item of this plan with a `route`"))
                .with_hint(format!("these have one: {listed}"))),
        },
    }
}

fn state(file: &Path) -> Result<Value, CommandError> {
    let unreadable = |error: String| {
        let message =
            format!("{} cannot be read as the state of an attempt: {error}", file.display());
        CommandError::new(Kind::Usage, message)
    };
    let mut text = String::new();
    let read = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text),
        _ => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| unreadable(error.to_string()))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(members)) => Ok(Value::Object(members)),
        Ok(_) => Err(unreadable("it must be a JSON object".to_owned())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn print(
    item: &str,
    rules: &RouteRules,
    state: &Value,
    options: &Options,
    output: &mut Stdout,
) -> Result<(), CommandError> {
    let decided = rules.decide(state);
    if options.json {
        let rules = rules.iter().map(
            |rule| json!({ "name": rule.name(), "when": rule.when(), "holds": rule.holds(state) }),
        );
        let decided = decided.as_ref().map(|route| {
            json!({
                "rule": route.rule, "decision": route.decision.as_str(), "to": route.to,
                "reason": route.reasoning
            })
        });
        let rules: Vec<Value> = rules.collect();
        return output.json(&json!({ "item": item, "rules": rules, "decided": decided }));
    }
    let mut table = Table::new(["RULE", "HOLDS", "WHEN", "THEN"]);
    for rule in rules.iter() {
        table.row(row(rule, state));
    }
    table.print("", output)?;
    output.line("")?;
    let told = match &decided {
        Some(route) => {
            let rule = route.rule.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{item}: {}, by {rule}: {}", follows(route), route.reasoning)
        }
        None => format!("{item}: no rule holds; the outcome means what it always means"),
    };
    output.line(printable(&told))
}

fn row(rule: &RouteRule, state: &Value) -> [String; 4] {
    let holds = if rule.holds(state) { "yes" } else { "no" };
    let when = rule.when().map_or_else(|| "-".to_owned(), ToString::to_string);
    [rule.name().to_owned(), holds.to_owned(), when, follows(&rule.route())]
}

fn follows(route: &Route) -> String {
    let to: Vec<String> = route.to.iter().map(ToString::to_string).collect();
    match to.is_empty() {
        true => route.decision.as_str().to_owned(),
        false => format!("{} to {}", route.decision.as_str(), to.join(", ")),
    }
}
