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

/// The stories that use nothing which a27e6b6 did not have, with a digest of every byte that it recorded of
/// them: a ledger without new features stays one that it can read. A story is in it as it was; one that
/// is told anew leaves it.
const OF_A27E6B6: &str = include_str!("released/a27e6b6.txt");

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn check(story: &str) {
    let path = folder().join(format!("{story}.txt"));
    let written = std::fs::read_to_string(&path).unwrap();
    let (played, digest) = transcript::played(&written);
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
    let wrote = OF_A27E6B6.lines().find_map(|line| line.strip_prefix(story)?.strip_prefix(' '));
    if let Some(wrote) = wrote {
        let played = digest.to_string();
        assert_eq!(played, wrote, "{story}.txt gives other bytes than a27e6b6 wrote for it");
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
            let earlier = OF_A27E6B6.lines().filter_map(|line| Some(line.split_once(' ')?.0));
            assert!(earlier.clone().all(|story| files.iter().any(|file| file == story)));
            assert!(earlier.count() > 30);
            let mut played = vec![$(stringify!($story).to_owned(),)*];
            played.sort();
            assert_eq!(files, played);
        }
    };
}

stories! {
    all_failed,
    all_skipped,
    approvals,
    approved,
    breaker,
    budget_raised,
    cancel_and_drain,
    charged_by_the_grant,
    command_ids,
    capable,
    contexts,
    cut_off_start,
    deadlines,
    deferred,
    dormant,
    groups,
    items_added_late,
    keys,
    left_alone,
    lost_and_resumed,
    needs,
    needs_time_out,
    nested,
    nested_budget,
    nested_cancel,
    no_eligible_work,
    pause_and_continue,
    processes,
    retry_then_success,
    routes,
    reused,
    shared,
    shared_needs,
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
    visits,
    why,
    width,
    width_of_a_group,
}
