//! Repository chores: `cargo xtask check` is the gate, for people and for CI alike.

mod check;
mod command;
mod step;
mod steps;
mod tidy;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{}", help());
            Ok(())
        }
        ["check", names @ ..] => check::run(names),
        [other, ..] => Err(format!("there is no chore `{other}`\n\n{}", help())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{}", problem.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let mut text = String::from(
        "cargo xtask check           run every step; this is what CI runs\n\
         cargo xtask check STEP..    run some of them\n\
         cargo xtask help            print this\n\nSteps:\n",
    );
    for step in steps::ALL {
        text += &format!("  {:<10} {}\n", step.name(), step.title());
    }
    text
}
