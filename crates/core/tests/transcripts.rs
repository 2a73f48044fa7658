//! Stories of whole coordinations: commands in, every event and action out, compared to the letter.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test -p antiphon-core --test transcripts` writes the outputs anew;
//! read what changed before it is committed.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "stories are read from files"
)]
#![allow(clippy::unwrap_used, reason = "a story that cannot be played has failed")]

mod auditor;
mod transcript;

use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn check(story: &str) {
    let path = folder().join(format!("{story}.txt"));
    let written = std::fs::read_to_string(&path).unwrap();
    let played = transcript::played(&written);
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, &played).unwrap();
    } else if let Some((number, (written, played))) = (1..)
        .zip(written.lines().zip(played.lines()))
        .find(|(_, (written, played))| written != played)
    {
        panic!(
            "{story}.txt line {number}:\n  written {written}\n  played  {played}\nUPDATE_TRANSCRIPTS=1 writes it anew"
        );
    } else {
        assert_eq!(
            written.lines().count(),
            played.lines().count(),
            "{story}.txt has more or fewer lines than are played"
        );
    }
}

macro_rules! stories {
    ($($story:ident,)*) => {
        $(#[test] fn $story() { check(stringify!($story)); })*

        #[test]
        fn every_story_in_the_folder_is_played() {
            let mut files: Vec<String> = std::fs::read_dir(folder())
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            files.sort();
            let mut played = vec![$(stringify!($story).to_owned(),)*];
            played.sort();
            assert_eq!(files, played);
        }
    };
}

stories! {
    all_failed,
    all_skipped,
    breaker,
    budget_raised,
    cancel_and_drain,
    charged_by_the_grant,
    command_ids,
    cut_off_start,
    deadlines,
    deferred,
    dormant,
    groups,
    items_added_late,
    keys,
    left_alone,
    lost_and_resumed,
    nested,
    nested_budget,
    nested_cancel,
    no_eligible_work,
    pause_and_continue,
    processes,
    retry_then_success,
    reused,
    signals,
    skip_chains,
    spawn_failure,
    stale_fence,
    stop_with_work_left,
    stop_without_work_left,
    success,
    timeout,
    unclean,
    undeclared,
    why,
    width,
    width_of_a_group,
}
