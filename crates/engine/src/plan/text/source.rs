//! The text of a plan file, and positions in it.

use std::path::{Path, PathBuf};

/// Longest part of a line that is shown, in characters; plans may be one long line.
const SHOWN_CHARS: usize = 160;

/// What is shown in place of a secret.
const MASK: char = '*';

/// A part of the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(in crate::plan) struct Span {
    pub(in crate::plan) start: usize,
    pub(in crate::plan) end: usize,
}

impl Span {
    pub(in crate::plan) fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }
}

/// A value with the place that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plan) struct Spanned<T> {
    pub(in crate::plan) value: T,
    pub(in crate::plan) span: Span,
}

impl<T> Spanned<T> {
    pub(in crate::plan) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A line, as much of it as is shown, and the part that is marked. Columns count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plan) struct Excerpt {
    pub(in crate::plan) line: usize,
    pub(in crate::plan) column: usize,
    pub(in crate::plan) text: String,
    /// The marked part, in bytes of `text`.
    pub(in crate::plan) mark: std::ops::Range<usize>,
}

/// A plan file that was read.
#[derive(Debug, Clone)]
pub(in crate::plan) struct SourceText {
    path: PathBuf,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl SourceText {
    pub(in crate::plan) fn new(path: &Path, text: &str) -> Self {
        let breaks =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            lines: std::iter::once(0).chain(breaks).collect(),
        }
    }

    pub(in crate::plan) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::plan) fn text(&self) -> &str {
        &self.text
    }

    /// The text of a part, empty if it is none.
    pub(in crate::plan) fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The number of the line that a part begins in, from 1.
    pub(in crate::plan) fn line(&self, span: Span) -> usize {
        self.lines.partition_point(|start| *start <= span.start.min(self.text.len()))
    }

    /// The line that a part begins in, with what it marks there; what is in `masked` is not shown.
    ///
    /// Only what is shown is looked at closely: a plan may be one long line with a problem in each
    /// word.
    pub(in crate::plan) fn excerpt(&self, span: Span, masked: &[Span]) -> Excerpt {
        let line = self.line(span);
        let begin = self.lines[line - 1];
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let whole = self.text.get(begin..end).unwrap_or_default();
        let mut at = (span.start.max(begin) - begin).min(whole.len());
        while !whole.is_char_boundary(at) {
            at -= 1;
        }
        // White space at the end is not shown, unless it is marked.
        let shown = &whole[..whole
            .trim_end()
            .len()
            .max(at)
            .max((span.end.max(begin) - begin).min(whole.trim_end_matches('\r').len()))];
        let from = if shown.chars().nth(SHOWN_CHARS).is_some() {
            shown[..at].char_indices().rev().nth(SHOWN_CHARS / 4 - 1).map_or(0, |(from, _)| from)
        } else {
            0
        };
        let to =
            shown[from..].char_indices().nth(SHOWN_CHARS).map_or(shown.len(), |(to, _)| from + to);
        let window = Span::new(begin + from, begin + to);
        let masked: Vec<&Span> = masked
            .iter()
            .filter(|mask| mask.start < window.end && mask.end > window.start)
            .collect();
        let mut text = String::from(if from > 0 { "…" } else { "" });
        let mut mark = None;
        for (offset, c) in shown[from..to].char_indices() {
            let place = begin + from + offset;
            if from + offset == at {
                mark = Some(text.len()..text.len());
            }
            let hidden = masked.iter().any(|mask| (mask.start..mask.end).contains(&place));
            text.push(if hidden { MASK } else { c });
            if let Some(mark) = mark.as_mut().filter(|_| place < span.end) {
                mark.end = text.len();
            }
        }
        let mark = mark.unwrap_or(text.len()..text.len());
        if to < shown.len() {
            text.push('…');
        }
        Excerpt { line, column: whole[..at].chars().count() + 1, text, mark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(text: &str, span: std::ops::Range<usize>) -> (usize, usize, String, String) {
        let found = SourceText::new(Path::new("p.yaml"), text)
            .excerpt(Span::new(span.start, span.end), &[]);
        let marked = found.text[found.mark].to_owned();
        (found.line, found.column, found.text, marked)
    }

    #[test]
    fn a_part_is_found_by_line_and_column() {
        let text = "a: 1\nbü: xyz  \n";
        assert_eq!(excerpt(text, 0..1), (1, 1, "a: 1".into(), "a".into()));
        assert_eq!(excerpt(text, 10..13), (2, 5, "bü: xyz".into(), "xyz".into()));
        assert_eq!(excerpt(text, 99..99), (3, 1, String::new(), String::new()));
        assert_eq!(excerpt("", 0..0), (1, 1, String::new(), String::new()));
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_marked() {
        let text = format!("{}here{}", "x".repeat(1000), "y".repeat(1000));
        let (line, column, shown, marked) = excerpt(&text, 1000..1004);
        assert_eq!((line, column, marked.as_str()), (1, 1001, "here"));
        assert_eq!(shown, format!("…{}here{}…", "x".repeat(40), "y".repeat(116)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let source = SourceText::new(Path::new("p.yaml"), "key: hunter2 # mine\n");
        assert_eq!(
            source.excerpt(Span::new(0, 3), &[Span::new(5, 12)]).text,
            "key: ******* # mine"
        );
    }
}
