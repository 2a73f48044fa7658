//! What is wrong with a plan, as a problem and back.

use antiphon::plan::{Diagnostic, DiagnosticCode, PlanError, TextPosition};

use super::code::Code;
use super::problem::{BodyError, Problem};

impl Problem {
    /// What is wrong with the plan that messages call `name`.
    #[must_use]
    pub fn of_plan(error: &PlanError, name: &str) -> Self {
        let detail = match error.diagnostics.len() + error.left_out {
            1 => format!("{name} has a problem"),
            n => format!("{name} has {n} problems"),
        };
        let faults = error.diagnostics.iter().map(|diagnostic| fault(diagnostic, name)).collect();
        Self {
            left_out: u32::try_from(error.left_out).unwrap_or(u32::MAX),
            ..Self::new(Code::InvalidPlan, detail)
        }
        .with_errors(faults)
    }

    /// What is wrong with the plan that was sent under `name`, if that is the problem.
    ///
    /// A later version may know kinds of problems that this one does not: then there is none, and
    /// the problem's own text is left to show.
    #[must_use]
    pub fn plan_error(&self, name: &str) -> Option<PlanError> {
        if self.known_code() != Some(Code::InvalidPlan) {
            return None;
        }
        let diagnostics: Option<Vec<_>> =
            self.errors.iter().map(|fault| diagnostic(fault, name)).collect();
        let diagnostics = diagnostics.filter(|diagnostics| !diagnostics.is_empty())?;
        Some(PlanError { diagnostics, left_out: self.left_out as usize })
    }
}

fn diagnostic(fault: &BodyError, name: &str) -> Option<Diagnostic> {
    let code: DiagnosticCode = serde_json::from_value(fault.code.as_deref()?.into()).ok()?;
    let place = fault.line.zip(fault.column).zip(fault.text.as_ref());
    Some(Diagnostic {
        code,
        message: fault.detail.clone(),
        hint: fault.suggestion.clone(),
        path: fault.file.as_deref().unwrap_or(name).into(),
        place: place.and_then(|((line, column), text)| {
            // The mark comes from outside: one that does not fit would be cut out of a character.
            let marked = fault.mark.filter(|(start, end)| text.get(*start..*end).is_some());
            let (start, end) = marked.unwrap_or((0, text.len()));
            Some(TextPosition {
                line: usize::try_from(line).ok()?,
                column: usize::try_from(column).ok()?,
                text: text.clone(),
                mark: start..end,
            })
        }),
    })
}

fn fault(diagnostic: &Diagnostic, name: &str) -> BodyError {
    let file = diagnostic.path.display().to_string();
    let place = diagnostic.place.as_ref();
    let number = |n: usize| u64::try_from(n).ok();
    BodyError {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use antiphon::plan::parse;

    use super::*;

    fn wrong() -> PlanError {
        let text = "name: größe\nwork:\n  ä: { command: [echo], timeout: 5 }\nwrok: {}\n";
        parse(text, Path::new("/plans/p.yaml")).expect_err("a plan with problems")
    }

    #[test]
    fn what_is_wrong_with_a_plan_comes_over_the_socket_whole() -> Result<(), serde_json::Error> {
        let error = PlanError { left_out: 3, ..wrong() };
        for name in ["/plans/p.yaml", "another.yaml"] {
            let sent = Problem::of_plan(&error, name);
            let received: Problem = serde_json::from_slice(&sent.to_bytes())?;
            assert_eq!(received, sent);
            assert_eq!(received.plan_error(name), Some(error.clone()));
        }
        Ok(())
    }

    #[test]
    fn a_mark_that_does_not_fit_its_line_is_the_whole_line() {
        let mut problem = Problem::of_plan(&wrong(), "p");
        for mark in [None, Some((5, 2)), Some((0, 1_000)), Some((3, 3 + 1))] {
            for fault in &mut problem.errors {
                fault.mark = mark;
                fault.text = Some("  ä:".to_owned());
            }
            let error = problem.plan_error("p").expect("what is wrong with a plan");
            let marks: Vec<_> = error.diagnostics.into_iter().filter_map(|one| one.place).collect();
            assert!(marks.iter().all(|place| place.mark == (0..place.text.len())), "{marks:?}");
        }
    }

    #[test]
    fn a_kind_that_is_not_known_here_leaves_the_problem_as_it_is() {
        let mut problem = Problem::of_plan(&wrong(), "p");
        problem.errors[0].code = Some("later".to_owned());
        assert_eq!(problem.plan_error("p"), None);
        assert_eq!(Problem::new(Code::Refused, "no").plan_error("p"), None);
    }
}
