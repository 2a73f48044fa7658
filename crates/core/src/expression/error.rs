//! Why a text is not an expression, and where.

use std::fmt;

use super::limits::{MAX_BYTES, MAX_DEPTH};

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    offset: usize,
    line: usize,
    column: usize,
    problem: Problem,
}

/// What is wrong with the text at one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text is longer than [`MAX_BYTES`].
    #[error("the expression has {bytes} bytes; shorten it to at most {MAX_BYTES}")]
    TooLong {
        /// The length of the whole text.
        bytes: usize,
    },
    /// Parentheses and `!` are nested deeper than [`MAX_DEPTH`].
    #[error("parentheses and `!` are nested more than {MAX_DEPTH} deep; simplify the expression")]
    TooDeep,
    /// Something stands where something else has to.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What is there, in backticks, or `the end`.
        found: String,
        /// What may be there.
        expected: &'static str,
    },
    /// CEL has it, or another language that people know; this subset does not.
    #[error("{found} is not supported; {instead}")]
    Unsupported {
        /// What is there, in backticks.
        found: String,
        /// What to write.
        instead: &'static str,
    },
    /// The first name of a path is a word that CEL keeps for itself.
    #[error("`{name}` is a reserved word; a path cannot begin with it")]
    Reserved {
        /// The word.
        name: String,
    },
    /// A text has no closing quote on its line.
    #[error("the text that begins here is not closed; add {quote} at its end")]
    Unclosed {
        /// The quote that it began with.
        quote: char,
    },
    /// A backslash is followed by something else than an escape.
    #[error(
        r#"`{found}` is not an escape; use one of \\, \", \', \n, \r, \t, or \u and four hexadecimal digits"#
    )]
    BadEscape {
        /// The backslash and what follows it.
        found: String,
    },
    /// A number is malformed, or no integer or double can hold it.
    #[error(
        "`{found}` is not a number; write a decimal integer of 64 bits, with `u` after it if it is above 9223372036854775807, or a decimal fraction"
    )]
    BadNumber {
        /// The number as it is written.
        found: String,
    },
}

impl ParseError {
    /// Something is wrong at this byte of the text.
    pub(super) fn at(text: &str, offset: usize, problem: Problem) -> Self {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            offset,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem,
        }
    }

    /// Where it is: a byte of the text, at most its length.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Its line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Its character on the line, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong there.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            1 => write!(f, "column {}: {}", self.column, self.problem),
            line => write!(f, "line {line}, column {}: {}", self.column, self.problem),
        }
    }
}

impl std::error::Error for ParseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}

/// A part of the text as messages show it: without characters that a terminal would obey, and not
/// longer than a line has room for.
pub(super) fn shown(part: &str) -> String {
    const MAX_CHARS: usize = 40;
    let mut shown = String::new();
    for (index, c) in part.chars().enumerate() {
        match c {
            _ if index == MAX_CHARS => return shown + "..",
            '\\' | '"' | '\'' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}
