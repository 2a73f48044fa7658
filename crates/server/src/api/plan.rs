//! What is wrong with a plan, as a problem.

use antiphon::plan::{Diagnostic, PlanError};

use super::code::Code;
use super::problem::{Fault, Problem};

impl Problem {
    /// What is wrong with the plan that messages call `name`.
    #[must_use]
    pub fn of_plan(error: &PlanError, name: &str) -> Self {
        let detail = match error.diagnostics.len() + error.left_out {
            1 => format!("{name} has a problem"),
            n => format!("{name} has {n} problems"),
        };
        let faults = error.diagnostics.iter().map(|diagnostic| fault(diagnostic, name)).collect();
        Self { left_out: error.left_out, ..Self::new(Code::InvalidPlan, detail) }
            .with_errors(faults)
    }
}

fn fault(diagnostic: &Diagnostic, name: &str) -> Fault {
    let file = diagnostic.path.display().to_string();
    let place = diagnostic.place.as_ref();
    let number = |n: usize| u64::try_from(n).ok();
    Fault {
        detail: diagnostic.message.clone(),
        code: serde_json::to_value(diagnostic.code)
            .ok()
            .and_then(|code| code.as_str().map(str::to_owned)),
        pointer: None,
        file: (file != name).then_some(file),
        line: place.and_then(|place| number(place.line)),
        column: place.and_then(|place| number(place.column)),
        text: place.map(|place| place.text.clone()),
        mark: place.map(|place| (place.mark.start, place.mark.end)),
        suggestion: diagnostic.hint.clone(),
    }
}
