//! The problems of the plan that `do` makes of its command line, told of the options that they are of.

use antiphon::plan::{Diagnostic, DiagnosticCode, PlanError};

/// The keys of the plan that options are written to, and the options.
const OPTIONS: [(&str, &str); 13] = [
    ("\"attempts\":", "--attempts"),
    ("\"check\":", "--check"),
    ("\"command\":", "the command"),
    ("\"cost\":", "--cost"),
    ("\"duration\":", "--duration"),
    ("\"env\":", "--env or --secret"),
    ("\"memory\":", "--memory"),
    ("\"processes\":", "--processes"),
    ("\"secret\":", "--secret"),
    ("\"stdin\":", "--stdin"),
    ("\"timeout\":", "--timeout"),
    ("\"tokens\":", "--tokens"),
    ("\"usage\":", "--usage"),
];

/// The same problems without the plan, which nobody has written.
pub(super) fn told_of_options(problems: PlanError, plan: &str) -> PlanError {
    let tell = |problem: Diagnostic| {
        let option = problem.place.as_ref().and_then(|place| {
            // The plan is one line. In a text a quote has a backslash, so that none looks like a key.
            let before: String = plan.chars().take(place.column.saturating_sub(1)).collect();
            OPTIONS.iter().filter_map(|(key, option)| Some((before.rfind(key)?, option))).max()
        });
        let hint = match problem.code {
            DiagnosticCode::MissingFile => Some("name a file that is there".to_owned()),
            DiagnosticCode::MissingVariable => Some("set it, or write NAME=VALUE".to_owned()),
            // What would be written in a plan is no advice for a command line.
            DiagnosticCode::BadPlaceholder => None,
            _ => problem.hint,
        };
        let message = match option {
            Some((_, option)) => format!("{option}: {}", problem.message),
            None => problem.message,
        };
        Diagnostic { message, hint, place: None, ..problem }
    };
    PlanError { diagnostics: problems.diagnostics.into_iter().map(tell).collect(), ..problems }
}
