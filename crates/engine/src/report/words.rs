//! What a session said of its failure, on one line: errors of many lines are told by their end.

use std::fmt;

/// Longest line that is told, in characters.
const LINE: usize = 300;

/// A text of many lines on one: how it begins, if that is a reason of the engine's own such as `exit 1`,
/// and the last line that says anything.
///
/// ```
/// use antiphon::report::in_one_line;
///
/// let text = "exit 1: Traceback (most recent call last):\n  File \"a.py\"\nValueError: bad\n";
/// assert_eq!(in_one_line(text), "exit 1: ValueError: bad");
/// ```
#[must_use]
pub fn in_one_line(text: &str) -> String {
    Words::of(text).to_string()
}

/// The last line of a text that says anything: one with a letter or a digit.
pub(super) fn last_line(text: &str) -> Option<String> {
    let line = text.lines().rev().map(str::trim).find(|line| says_anything(line))?;
    let line = without_colours(line);
    let mut shown: String = line.chars().take(LINE).collect();
    if shown.len() < line.len() {
        shown.push_str(" ...");
    }
    Some(shown)
}

fn says_anything(line: &str) -> bool {
    line.chars().any(char::is_alphanumeric)
}

/// A text in two parts.
pub(super) struct Words {
    /// What the engine says of it.
    reason: String,
    /// The last line of what the session said.
    said: Option<String>,
}

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let mut rest = text.trim();
        let mut reason = Vec::new();
        while let Some((head, tail)) = rest.split_once(": ").filter(|(head, _)| is_reason(head)) {
            reason.push(head);
            rest = tail.trim_start();
        }
        let said = if is_reason(rest) {
            reason.push(rest);
            None
        } else {
            last_line(rest)
        };
        Self { reason: reason.join(": "), said }
    }

    /// Whether the session has said nothing of its own.
    pub(super) fn is_only_a_reason(&self) -> bool {
        self.said.is_none()
    }

    /// The reason with a line that was found elsewhere.
    pub(super) fn followed_by(&self, line: &str) -> String {
        match self.reason.as_str() {
            "" => line.to_owned(),
            reason => format!("{reason}: {line}"),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Some(said) => f.write_str(&self.followed_by(said)),
            None => f.write_str(&self.reason),
        }
    }
}

/// Whether a text is what the engine says where a program has ended, has failed its check or has
/// used up its time, and not what the program said.
fn is_reason(text: &str) -> bool {
    let numbered = |text: &str, word: &str| {
        text.strip_prefix(word).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            && text.len() <= word.len() + "127, with a core".len()
    };
    matches!(text, "" | "timed out" | "its check failed" | "it reported a failure")
        || numbered(text, "exit ")
        || numbered(text, "signal ")
}

/// A line without what colours it on a terminal.
fn without_colours(line: &str) -> String {
    let (mut plain, mut rest) = (String::new(), line);
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, code) = rest.split_at(at);
        plain.push_str(before);
        let parameters = code[2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = match parameters.strip_prefix('m') {
            Some(after) => after,
            // Another code, which is no colour, stays to be spelled out.
            None => {
                plain.push_str(&code[..2]);
                &code[2..]
            }
        };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_by_its_end_behind_the_reason_that_the_engine_gives() {
        let cases = [
            ("exit 3: Traceback:\n  File x\nValueError: bad\n\n", "exit 3: ValueError: bad"),
            ("exit 1", "exit 1"),
            ("timed out", "timed out"),
            ("its check failed: exit 2: one\ntwo", "its check failed: exit 2: two"),
            ("signal 11, with a core: oops", "signal 11, with a core: oops"),
            ("its warden was lost", "its warden was lost"),
            ("error: first\n    ^^^^\n---", "error: first"),
            ("exit code: none", "exit code: none"),
            ("exit 1: \u{1b}[31mred\u{1b}[0m end", "exit 1: red end"),
            ("a\u{1b}[2Jb\u{1b}[1;32mc", "a\u{1b}[2Jbc"),
            ("", ""),
        ];
        for (text, told) in cases {
            assert_eq!(in_one_line(text), told, "{text:?}");
        }
        let long = "x".repeat(1_000);
        assert_eq!(in_one_line(&long).len(), LINE + " ...".len());
    }
}
