//! A line for a terminal: texts with their colours, cut to a width that the terminal gives it.

use unicode_width::UnicodeWidthChar as _;

use crate::colour::{Colour, painted};

/// Marks where text was cut off.
const CUT: &str = "…";

/// Texts side by side, each in its colour. They hold nothing that a
/// terminal obeys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(String, Colour)>);

impl Line {
    pub(crate) fn push(&mut self, text: impl Into<String>) {
        self.painted(text, Colour::Plain);
    }

    pub(crate) fn painted(&mut self, text: impl Into<String>, colour: impl Into<Colour>) {
        self.0.push((text.into(), colour.into()));
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Fills up with spaces to a column.
    pub(crate) fn pad_to(&mut self, column: usize) {
        let width = self.width();
        if width < column {
            self.push(" ".repeat(column - width));
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(text, _)| width(text)).sum()
    }

    /// The line in colours, at most so many columns wide.
    pub(crate) fn cut(&self, columns: usize) -> String {
        let fits = self.width() <= columns;
        let mut left = if fits { columns } else { columns.saturating_sub(width(CUT)) };
        let mut line = String::new();
        for (text, colour) in &self.0 {
            let kept = prefix(text, left);
            left -= width(kept);
            if !kept.is_empty() {
                line.push_str(&painted(kept, *colour));
            }
            if kept.len() < text.len() {
                break;
            }
        }
        if !fits && columns > 0 {
            line.push_str(CUT);
        }
        line
    }
}

/// Columns that a text takes. What terminals disagree about counts as much as the widest of them
/// make of it.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The longest beginning of a text that is no wider than this.
pub(crate) fn prefix(text: &str, columns_left: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += columns(*c);
        used > columns_left
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn columns(c: char) -> usize {
    // Some terminals make the character before it two columns wide.
    const EMOJI: char = '\u{fe0f}';
    if c == EMOJI { 1 } else { c.width().unwrap_or(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_columns_and_not_to_characters() {
        let mut line = Line::default();
        line.painted("日本", Colour::Bad);
        line.push("語 and more");
        assert_eq!(line.width(), 15);
        assert_eq!(line.cut(15), "\u{1b}[31m日本\u{1b}[0m語 and more");
        assert_eq!(line.cut(8), "\u{1b}[31m日本\u{1b}[0m語 …");
        assert_eq!(line.cut(6), "\u{1b}[31m日本\u{1b}[0m…");
        assert_eq!(line.cut(1), "…");
        assert_eq!(line.cut(0), "");
    }
}
