//! This test program is also its own warden, the hostile program that it runs, and an engine that
//! can be killed.
//!
//! All of that is decided before `main`, which belongs to the test harness.

use crate::{engine, hostile, namespaces};

#[used]
#[unsafe(link_section = ".init_array")]
static ENTRY: extern "C" fn() = enter;

extern "C" fn enter() {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["hostile", mode, marker, rest @ ..] => {
            hostile::run(mode, marker, rest);
            std::process::exit(0);
        }
        ["stranger"] => {
            engine::open_without_entering();
            std::process::exit(0);
        }
        ["engine"] => {
            antiphon::process::enter();
            engine::run();
            std::process::exit(0);
        }
        ["begin" | "go-on" | "sweep", ..] => {
            antiphon::process::enter();
            namespaces::run(&words);
            std::process::exit(0);
        }
        ["__session", _, session] if session.starts_with("late.") => {
            // As in a program whose runtime was there first.
            std::thread::spawn(std::thread::park);
            antiphon::process::enter();
        }
        _ => antiphon::process::enter(),
    }
}
