//! The language of the transcripts: a command, four dashes, and everything that came of it.
//!
//! ```text
//! start c width=2        a command; the items it gives follow indented
//!   a
//!   b needs=a
//! (four dashes)
//! done at 1              the answer
//! +0s c 1 started: ..    every event appended: time, stream, version, type, what matters of its payload
//! > spawn c.1: ..        every action released
//! ```
//!
//! The output ends at the first empty line. Lines that begin with `#` say what to look at.

use antiphon_core::digest::Digest;

pub(crate) mod render;
pub(crate) mod story;
pub(crate) mod words;

/// Plays a transcript and returns it with the outputs as they are now, and what stands for the bytes of
/// its events.
pub(crate) fn played(text: &str) -> (String, Digest) {
    let mut story = story::Story::new();
    let mut lines = text.lines().peekable();
    let mut out = String::new();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut items = Vec::new();
        for below in lines.by_ref() {
            out.push_str(below);
            out.push('\n');
            if below == "----" {
                break;
            }
            items.push(below.trim().to_owned());
        }
        while lines.next_if(|line| !line.is_empty()).is_some() {}
        for answer in story.play(line, &items) {
            out.push_str(&answer);
            out.push('\n');
        }
    }
    (out, story.digest())
}
