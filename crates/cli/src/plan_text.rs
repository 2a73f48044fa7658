//! The plan that a command line comes to, and its problems, told of the options that they are of.

use antiphon::plan::{Diagnostic, DiagnosticCode, PlanError};
use serde_json::Value;

/// A plan of which each line says one thing, so that the line of a problem tells the option that it
/// is of. JSON leaves no line break in a text.
#[derive(Debug, Default)]
pub(crate) struct PlanText {
    text: String,
    /// The option that each line is of, if it is of one.
    options: Vec<Option<&'static str>>,
}

/// A key of the plan, what it says, and the option that says it.
pub(crate) struct Entry<'a> {
    key: &'a str,
    option: Option<&'static str>,
    said: Said<'a>,
}

enum Said<'a> {
    Value(Value),
    Entries(Vec<Entry<'a>>),
}

impl<'a> Entry<'a> {
    pub(crate) fn value(key: &'a str, value: impl Into<Value>) -> Self {
        Self { key, option: None, said: Said::Value(value.into()) }
    }

    pub(crate) fn entries(key: &'a str, entries: Vec<Self>) -> Self {
        Self { key, option: None, said: Said::Entries(entries) }
    }

    pub(crate) fn of(self, option: &'static str) -> Self {
        Self { option: Some(option), ..self }
    }
}

impl PlanText {
    pub(crate) fn of(entries: Vec<Entry<'_>>) -> Self {
        let mut plan = Self::default();
        plan.line(None, "{");
        plan.entries(entries);
        plan.line(None, "}");
        plan
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    fn entries(&mut self, entries: Vec<Entry<'_>>) {
        for Entry { key, option, said } in entries {
            let key = yaml(&Value::from(key));
            match said {
                Said::Value(value) => self.line(option, &format!("{key}: {},", yaml(&value))),
                Said::Entries(entries) => {
                    self.line(option, &format!("{key}: {{"));
                    self.entries(entries);
                    self.line(option, "},");
                }
            }
        }
    }

    fn line(&mut self, option: Option<&'static str>, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
        self.options.push(option);
    }

    /// The same problems without the plan, which nobody has written.
    pub(crate) fn told(&self, problems: PlanError) -> PlanError {
        let tell = |problem: Diagnostic| {
            let line = problem.place.as_ref().and_then(|place| place.line.checked_sub(1));
            let option = line.and_then(|line| self.options.get(line).copied().flatten());
            let hint = match problem.code {
                DiagnosticCode::MissingFile => Some("name a file that is there".to_owned()),
                DiagnosticCode::MissingVariable => Some("set it, or write NAME=VALUE".to_owned()),
                // What would be written in a plan is no advice for a command line.
                DiagnosticCode::BadPlaceholder => None,
                _ => problem.hint,
            };
            let message = match option {
                Some(option) => format!("{option}: {}", problem.message),
                None => problem.message,
            };
            Diagnostic { message, hint, place: None, ..problem }
        };
        PlanError { diagnostics: problems.diagnostics.into_iter().map(tell).collect(), ..problems }
    }
}

/// JSON is YAML, but for characters that YAML takes only by their number.
fn yaml(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
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
