//! The words of an expression, each with its place in the text.

use serde_json::{Number, Value};

use super::error::{ParseError, Problem, shown};

/// A word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword.
    Name,
    /// A text or a number.
    Literal(Value),
    /// An operator or a mark.
    Symbol(&'static str),
    End,
}

/// Longer ones first, so that `==` is not read as `=`.
const SYMBOLS: &[&str] =
    &["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", "."];

/// What people write who know CEL or another language: the symbol, and what to write here.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("=", "write `==` to compare"),
    ("&", "write `&&`"),
    ("|", "write `||`"),
    ("?", "combine conditions with `&&` and `||`"),
    ("{", "compare with a text, a number, `true`, `false` or `null`"),
    ("+", "there is no arithmetic; compare with a literal"),
    ("-", "there is no arithmetic; compare with a literal"),
    ("*", "there is no arithmetic; compare with a literal"),
    ("/", "there is neither arithmetic nor a comment; compare with a literal"),
    ("%", "there is no arithmetic; compare with a literal"),
];

/// Takes words from a text, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Words<'t> {
    text: &'t str,
    /// Where the current word begins, and where it ends.
    begin: usize,
    end: usize,
}

impl<'t> Words<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self { text, begin: 0, end: 0 }
    }

    /// The current word as it is written.
    pub(super) fn written(&self) -> &'t str {
        &self.text[self.begin..self.end]
    }

    /// Where the current word begins.
    pub(super) fn begin(&self) -> usize {
        self.begin
    }

    /// Something is wrong with the current word.
    pub(super) fn refuse(&self, problem: Problem) -> ParseError {
        ParseError::at(self.text, self.begin, problem)
    }

    /// Goes to the next word.
    pub(super) fn next(&mut self) -> Result<Token, ParseError> {
        let rest = self.text[self.end..].trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
        self.begin = self.text.len() - rest.len();
        self.end = self.begin;
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let digit_at = |at: usize| rest.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                self.end += length(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                Ok(Token::Name)
            }
            '"' | '\'' => self.text_literal(first).map(Token::Literal),
            '0'..='9' => self.number(rest).map(Token::Literal),
            '-' if digit_at(1) || (rest[1..].starts_with('.') && digit_at(2)) => {
                self.number(rest).map(Token::Literal)
            }
            '.' if digit_at(1) => self.number(rest).map(Token::Literal),
            _ => self.symbol(rest, first),
        }
    }

    fn symbol(&mut self, rest: &str, first: char) -> Result<Token, ParseError> {
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.end += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        self.end += first.len_utf8();
        let found = format!("`{}`", shown(self.written()));
        let known = UNSUPPORTED.iter().find(|(symbol, _)| rest.starts_with(symbol));
        Err(self.refuse(match known {
            Some((_, instead)) => Problem::Unsupported { found, instead },
            None => Problem::Unexpected { found, expected: "a path, a literal or an operator" },
        }))
    }

    /// A number runs as far as anything that could belong to one, so that a typing error in it is
    /// one problem and not two.
    fn number(&mut self, rest: &str) -> Result<Value, ParseError> {
        let mut before = '-';
        self.end += length(rest, |c| {
            let signs = matches!(before, 'e' | 'E');
            let first = before == '-';
            before = c;
            c.is_ascii_alphanumeric()
                || matches!(c, '.' | '_')
                || (c == '-' && first)
                || (matches!(c, '-' | '+') && signs)
        });
        let written = self.written();
        number(written)
            .map(Value::Number)
            .ok_or_else(|| self.refuse(Problem::BadNumber { found: shown(written) }))
    }

    fn text_literal(&mut self, quote: char) -> Result<Value, ParseError> {
        let mut value = String::new();
        let mut chars = self.text[self.begin + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            let here = self.begin + 1 + at;
            match c {
                '\n' | '\r' => break,
                '\\' => {
                    let (escaped, length) = escape(&self.text[here..])
                        .map_err(|problem| ParseError::at(self.text, here, problem))?;
                    value.push(escaped);
                    // The backslash is taken already, and every escape is ASCII.
                    chars.nth(length - 2);
                }
                _ if c == quote => {
                    self.end = here + 1;
                    return Ok(Value::String(value));
                }
                _ => value.push(c),
            }
        }
        Err(self.refuse(Problem::Unclosed { quote }))
    }
}

/// The length of the characters at the beginning for which this holds.
fn length(text: &str, mut belongs: impl FnMut(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// The character that an escape stands for, and how long the escape is.
fn escape(text: &str) -> Result<(char, usize), Problem> {
    let refuse = |length| {
        let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
        Problem::BadEscape { found: shown(&text[..end]) }
    };
    let plain = match text.as_bytes().get(1) {
        Some(b'\\') => '\\',
        Some(b'"') => '"',
        Some(b'\'') => '\'',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let digits =
                text.get(2..6).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let character = code.and_then(char::from_u32).ok_or_else(|| refuse(6))?;
            return Ok((character, 6));
        }
        _ => return Err(refuse(2)),
    };
    Ok((plain, 2))
}

fn number(written: &str) -> Option<Number> {
    let digits = written.strip_prefix('-').unwrap_or(written);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return written.parse::<i64>().ok().map(Number::from);
    }
    if let Some(unsigned) = written.strip_suffix('u') {
        let plain = unsigned.bytes().all(|byte| byte.is_ascii_digit());
        return plain.then(|| unsigned.parse::<u64>().ok())?.map(Number::from);
    }
    let fraction = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    // CEL wants a digit after the point.
    let pointed = digits
        .split_once('.')
        .is_none_or(|(_, after)| after.starts_with(|c: char| c.is_ascii_digit()));
    (fraction && pointed).then(|| written.parse::<f64>().ok())?.and_then(Number::from_f64)
}
