//! What `claude -p` prints with `--output-format json` and `stream-json`, read as it comes.
//!
//! Traps, all met in the field: `usage` is the main agent alone and leaves the cache out of its
//! input, while `modelUsage` and `total_cost_usd` are cumulative and hold the sub-agents;
//! `subtype: success` may come with `is_error: true`; a `rate_limit_event` comes with every run and
//! means something only when it was rejected; the exit code may be 0 all the same, also of a run
//! that was interrupted and printed no result. `type` need not be the first member, counts that do
//! not apply are `null`, and wrappers print lines of their own before and after. The figures of a
//! run that resumed an earlier one may hold what that one used, too.

mod charge;
mod heard;
mod outcome;

use antiphon_core::time::WallTime;

use self::heard::Heard;
use super::objects::{Found, Objects};
use super::plain_text::PlainText;
use super::{AgentRun, SessionReport};

/// Takes what a run prints, in pieces of any size.
#[derive(Debug, Default)]
struct ClaudeReader {
    text: PlainText,
    objects: Objects,
    heard: Heard,
}

impl ClaudeReader {
    fn push(&mut self, printed: &[u8]) {
        let text = self.text.push(printed);
        self.take(&text);
    }

    /// Something was left out here.
    fn skip(&mut self) {
        self.text = PlainText::default();
        let heard = &mut self.heard;
        self.objects.skip(&mut |found| hear(heard, found));
        heard.skip();
    }

    fn finish(mut self) -> Heard {
        let text = self.text.finish();
        self.take(&text);
        let heard = &mut self.heard;
        self.objects.finish(&mut |found| hear(heard, found));
        self.heard
    }

    fn take(&mut self, text: &[u8]) {
        let heard = &mut self.heard;
        self.objects.push(text, &mut |found| hear(heard, found));
    }
}

fn hear(heard: &mut Heard, found: Found) {
    match found {
        Found::Object { text, follows_damage } => heard.take(&text, follows_damage),
        Found::Damaged(text) => heard.take_damaged(&text),
        Found::Other(text) => heard.take_other(&text),
    }
}

/// Reads what a run printed: its result alone, an array of all messages, or a message a line.
#[must_use]
pub fn claude(run: &AgentRun<'_>, now: WallTime) -> SessionReport {
    let mut reader = ClaudeReader::default();
    reader.push(run.printed);
    if let Some(tail) = run.tail {
        reader.skip();
        reader.push(tail);
    }
    reader.finish().session_report(run, now)
}
