//! The pages of the documentation that lead a reader through commands are followed to the letter:
//! one shell runs the commands of a page in their order, and prints what it says.

#![allow(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod common;
#[path = "guides/page.rs"]
mod page;
#[path = "guides/reader.rs"]
mod reader;

use page::{Page, Text};

#[test]
fn getting_started_prints_what_it_says() {
    Page::read("getting-started.md").is_true();
}

/// What is not run is the build, which the test stands beside, and nothing else.
#[test]
fn getting_started_leaves_nothing_but_the_build_to_the_reader() {
    let build = Text { kind: "sh".to_owned(), text: "cargo build --release\n".to_owned() };
    assert_eq!(Page::read("getting-started.md").texts(), [build]);
}
