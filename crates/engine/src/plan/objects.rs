//! The objects that a plan is made of, each with its keys, how it is read and what it means in one
//! file.
//!
//! [`OBJECTS`] is the table of all of them: the reader, the JSON Schema and the reference in
//! `docs/plan.md` follow from it. No object knows where a plan lies or who submits it.

mod breaker;
mod budget;
mod capabilities;
mod check;
mod command;
mod context;
mod env;
mod exhausted;
mod gate;
mod input;
mod interpreter;
mod item;
mod limits;
mod matrix;
mod names;
mod need;
mod on_end;
mod output;
mod plan;
mod process_text;
mod retry;
mod route;
mod runner;
mod secret_lint;
mod settings;
mod shared;
mod signal;
mod stdin;
mod usage;

pub use check::CheckSpec;
pub use command::Invocation;
pub use env::{EnvValue, RenderedEnv};
pub use input::InputSource;
pub use item::{COMMAND_SCHEMA, CommandSpec, CommandSpecError, Rendered};
pub use limits::SessionLimits;
pub use output::{MissingOutput, OutputSource};
pub use plan::{PLAN_SCHEMA, PlanSpec, PlanSpecError};
pub use route::{RouteRule, RouteRules};
pub use stdin::{KeptStdin, RenderedStdin, StdinSource};
pub use usage::UsageReader;

pub(in crate::plan) use item::{Step, StepWork};
pub(in crate::plan) use plan::{PlanAst, ResolvedPlan};

use super::mapping::Object;

/// All mappings with fixed keys, the whole plan first.
pub static OBJECTS: [&Object; 20] = [
    &plan::PLAN,
    &budget::BUDGET,
    &breaker::BREAKER_OBJECT,
    &runner::RUNNER,
    &item::ITEM,
    &need::NEED,
    &route::ROUTE,
    &gate::GATE,
    &signal::SIGNAL,
    &retry::RETRY,
    &limits::LIMITS,
    &check::CHECK,
    &on_end::ON_END,
    &env::ENV_FROM,
    &env::ENV_TEXT,
    &env::ENV_SECRET,
    &env::SECRET_COMMAND,
    &stdin::STDIN_FILE,
    &input::INPUT_VALUE,
    &output::OUTPUT_FILE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_described_and_its_example_is_of_it() {
        for object in OBJECTS {
            for key in object.keys {
                assert!(
                    key.example.starts_with(&format!("{}: ", key.name)),
                    "{}.{}",
                    object.name,
                    key.name
                );
                assert!(key.doc.ends_with('.'), "{}.{}", object.name, key.name);
            }
        }
    }
}
