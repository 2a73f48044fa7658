//! What is wrong with a plan, shown as compilers show it: the line, what is meant in it, and what
//! to do.

use std::io::Write as _;
use std::process::ExitCode;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use antiphon::plan::{Diagnostic, PlanError};
use serde_json::json;

use crate::command_error::{CommandError, Kind};
use crate::labels::counted;
use crate::options::Options;
use crate::stdout::Stdout;
use crate::text::printable;

/// Tells why a plan cannot be run, as JSON on standard output or else for people.
pub(crate) fn refused(problems: &PlanError, options: &Options) -> Result<ExitCode, CommandError> {
    refused_as("cannot be run", problems, options)
}

/// The same of what cannot be done something else with, such as `cannot be added`.
pub(crate) fn refused_as(
    cannot: &str,
    problems: &PlanError,
    options: &Options,
) -> Result<ExitCode, CommandError> {
    if options.json {
        let mut output = Stdout::open();
        output.json(
            &json!({ "ok": false, "problems": problems.diagnostics, "left_out": problems.left_out }),
        )?;
        output.finish()?;
    } else {
        report(cannot, problems);
    }
    Ok(Kind::Plan.into())
}

/// Prints them on stderr; where that is closed, nothing can be said.
fn report(cannot: &str, problems: &PlanError) {
    let mut stderr = anstream::stderr().lock();
    for problem in &problems.diagnostics {
        let _written = writeln!(stderr, "{}\n", rendered(problem));
    }
    let _written = writeln!(stderr, "\u{1b}[1;31merror\u{1b}[0m: {}", summary(cannot, problems));
}

fn rendered(problem: &Diagnostic) -> String {
    let path = printable(&problem.path.display().to_string()).into_owned();
    let message = printable(&problem.message);
    let mut elements: Vec<Element<'_>> = Vec::new();
    if let Some(place) = &problem.place {
        let annotation = AnnotationKind::Primary.span(place.mark.clone());
        let mut snippet =
            Snippet::source(&place.text).line_start(place.line).fold(false).annotation(annotation);
        if place.text[..place.mark.start].chars().count() + 1 == place.column {
            snippet = snippet.path(&path);
        } else {
            // The line is cut, so its column cannot be counted in what is shown.
            elements.push(Origin::path(&path).line(place.line).char_column(place.column).into());
        }
        elements.push(snippet.into());
    } else {
        elements.push(Origin::path(&path).into());
    }
    let hint = problem.hint.as_deref().map(printable);
    if let Some(hint) = &hint {
        elements.push(Level::HELP.with_name("hint").message(&**hint).into());
    }
    let group: Group<'_> = Level::ERROR.primary_title(&*message).elements(elements);
    Renderer::styled().render(&[group])
}

fn summary(cannot: &str, problems: &PlanError) -> String {
    let found = problems.diagnostics.len() + problems.left_out;
    let first = problems
        .diagnostics
        .first()
        .map(|problem| problem.path.display().to_string())
        .unwrap_or_default();
    let count = counted(found, "problem");
    let shown = if problems.left_out > 0 {
        format!(", the first {} of them above", problems.diagnostics.len())
    } else {
        String::new()
    };
    printable(&format!("{first} {cannot}: {count}{shown}")).into_owned()
}
