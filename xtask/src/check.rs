//! `cargo xtask check`: runs the steps, shows each one's title, and sums up at the end.

use std::time::{Duration, Instant};

use crate::step::{Done, Step};
use crate::steps;
use crate::workspace::Workspace;

/// Runs the named steps, or all if none is named. One failure does not hide the next, but nothing
/// runs without its tools.
pub(crate) fn run(names: &[&str]) -> Result<(), String> {
    let chosen = choose(names)?;
    let workspace = Workspace::load()?;
    std::env::set_current_dir(&workspace.root)
        .map_err(|error| format!("cannot enter {}: {error}", workspace.root.display()))?;
    let mut ended = Vec::new();
    for step in chosen {
        eprintln!("\n== {}: {}", step.name(), step.title());
        let started = Instant::now();
        let result = step.run(&workspace);
        if let Err(problem) = &result {
            eprintln!("{problem}");
        }
        let stop = step.name() == "tools" && result.is_err();
        ended.push(Ended { step: step.name(), result, took: started.elapsed() });
        if stop {
            break;
        }
    }
    eprint!("\n{}", summary(&ended));
    let failed: Vec<&str> =
        ended.iter().filter(|ended| ended.result.is_err()).map(|ended| ended.step).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {0}\nagain, only these: cargo xtask check {0}", failed.join(" ")))
    }
}

fn choose(names: &[&str]) -> Result<Vec<&'static Step>, String> {
    if names.is_empty() {
        return Ok(steps::ALL.iter().collect());
    }
    let find = |name: &&str| {
        let known = || steps::ALL.iter().map(|step| step.name()).collect::<Vec<_>>().join(", ");
        steps::ALL
            .iter()
            .find(|step| step.name() == *name)
            .ok_or_else(|| format!("there is no step `{name}`; there are: {}", known()))
    };
    names.iter().map(find).collect()
}

struct Ended {
    step: &'static str,
    result: Result<Done, String>,
    took: Duration,
}

fn summary(ended: &[Ended]) -> String {
    let mut text = String::new();
    for Ended { step, result, took } in ended {
        let word = match result {
            Ok(Done::Passed) => "passed".to_owned(),
            Ok(Done::Skipped(why)) => format!("SKIPPED  {why}"),
            Err(problem) => format!("FAILED   {}", problem.lines().next().unwrap_or_default()),
        };
        text += &format!("{step:<10} {:>5} s  {word}\n", took.as_secs());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_step_is_refused_and_the_known_ones_are_named() {
        let refused = choose(&["format", "lint"]).map(|steps| steps.len());
        let known = "tools, rules, format, clippy, features, test, examples, torture, full-disk, \
                     few-files, licences";
        assert_eq!(refused, Err(format!("there is no step `lint`; there are: {known}")));
    }

    #[test]
    fn the_summary_shows_what_was_skipped_and_what_failed() {
        let ended = [
            Ended { step: "format", result: Ok(Done::Passed), took: Duration::from_secs(1) },
            Ended {
                step: "licences",
                result: Ok(Done::Skipped("no cargo-deny".into())),
                took: Duration::ZERO,
            },
            Ended {
                step: "test",
                result: Err("`cargo test` ended with 101\nmore".into()),
                took: Duration::from_secs(75),
            },
        ];
        let expected = "format         1 s  passed\n\
                        licences       0 s  SKIPPED  no cargo-deny\n\
                        test          75 s  FAILED   `cargo test` ended with 101\n";
        assert_eq!(summary(&ended), expected);
    }
}
