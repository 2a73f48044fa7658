//! Text for a terminal: what may be shown of text that others wrote.

use std::borrow::Cow;

/// Text from a ledger, whose author is unknown, without what a terminal would obey: control
/// characters, and those that reorder the text around them, are spelled out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    spelled(text, is_obeyed, |c| c.escape_default().to_string())
}

/// A word of a command as it is typed: in quotes where a shell would read it as something else.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| {
        c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | ':' | '+' | '=' | ',')
    };
    match !word.is_empty() && word.chars().all(is_plain) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(format!("'{}'", word.replace('\'', "'\\''"))),
    }
}

/// What [`printable`] leaves of a line of our own, which keeps its colours. What others wrote has none
/// left by then.
pub(crate) fn printable_in_colours(line: &str) -> Cow<'_, str> {
    // What others wrote has no breaks of lines left either.
    let is_obeyed = |c: char| is_obeyed(c) && c != '\n' && c != '\t';
    if !line.contains(is_obeyed) {
        return Cow::Borrowed(line);
    }
    let (mut shown, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(is_obeyed) {
        let colour = rest[at..].strip_prefix("\u{1b}[").and_then(|sequence| {
            let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            sequence[end..].starts_with('m').then_some(at + 2 + end + 1)
        });
        let end =
            colour.unwrap_or_else(|| at + rest[at..].chars().next().map_or(0, char::len_utf8));
        shown.push_str(&rest[..at]);
        match colour {
            Some(_) => shown.push_str(&rest[at..end]),
            None => shown.push_str(&printable(&rest[at..end])),
        }
        rest = &rest[end..];
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// The same for JSON, which stays the same value.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    spelled(json, is_obeyed, |c| match c {
        // No text in JSON has one that is not spelled out already.
        '\n' | '\r' | '\t' => " ".to_owned(),
        c => format!("\\u{:04x}", u32::from(c)),
    })
}

/// Whether a terminal, or whatever shows text on it, obeys a character instead of showing it.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        )
}

fn spelled(text: &str, what: fn(char) -> bool, how: fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(what) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| if what(c) { how(c) } else { c.to_string() });
    Cow::Owned(shown.collect())
}

/// What a program printed, for a terminal, piece by piece: its lines stay lines, and whatever else
/// a terminal would obey, or is no text, is spelled out.
#[derive(Debug, Default)]
pub(crate) struct ShownOutput {
    /// The beginning of a character or of the end of a line, whose rest has not come yet.
    kept: Vec<u8>,
}

impl ShownOutput {
    /// What is shown of the whole output of a program.
    pub(crate) fn of(bytes: &[u8]) -> String {
        let mut shown = Self::default();
        let text = shown.take(bytes);
        text + &shown.end()
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.kept);
        all.extend_from_slice(bytes);
        let whole = all.len() - unfinished(&all);
        self.kept = all.split_off(whole);
        shown(&all)
    }

    /// What is left when nothing more comes.
    pub(crate) fn end(&mut self) -> String {
        shown(&std::mem::take(&mut self.kept))
    }
}

/// How many bytes at the end wait for what comes next.
fn unfinished(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    // A character has at most four bytes.
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    let begun = (1..=tail.len()).find(|n| tail[tail.len() - n] >= 0xc0);
    begun
        .filter(|n| {
            let character = std::str::from_utf8(&tail[tail.len() - n..]);
            character.is_err_and(|error| error.error_len().is_none())
        })
        .unwrap_or(0)
}

fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        let lines = chunk.valid().replace("\r\n", "\n");
        text.push_str(&spelled(
            &lines,
            |c| is_obeyed(c) && c != '\n' && c != '\t',
            |c| c.escape_default().to_string(),
        ));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_spelled_out() {
        assert_eq!(printable("plain – ünïcode"), "plain – ünïcode");
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
    }

    #[test]
    fn a_line_of_ours_keeps_its_colours_and_nothing_else() {
        let ours = "\u{1b}[31mbad\u{1b}[0m \u{1b}[1;32mgood\u{1b}[m";
        assert_eq!(printable_in_colours(ours), ours);
        assert_eq!(
            printable_in_colours("\u{1b}[31mx\u{1b}[2J\u{1b}]0;t\u{7}\u{1b}[3\u{9b}1m\u{202e}é"),
            "\u{1b}[31mx\\u{1b}[2J\\u{1b}]0;t\\u{7}\\u{1b}[3\\u{9b}1m\\u{202e}é"
        );
    }

    #[test]
    fn json_stays_the_same_value() {
        let json = "{ \"a\":\r\"\u{9b}1m\u{202e}\u{7f}\" }";
        let shown = printable_json(json);
        assert_eq!(shown, "{ \"a\": \"\\u009b1m\\u202e\\u007f\" }");
        let value =
            |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
        assert_eq!(value(&shown), value(json));
    }

    #[test]
    fn output_is_shown_the_same_in_whatever_pieces_it_comes() {
        let output = b"a\tb\r\nc\rd\x1b[2J\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x9b1m\xff\xc3\n\xe2\x80\xae\xf0\x9f\r";
        let expected = "a\tb\nc\\rd\\u{1b}[2Jé€😀\\x9b1m\\xff\\xc3\n\\u{202e}\\xf0\\x9f\\r";
        assert_eq!(ShownOutput::of(output), expected);
        for size in 1..output.len() {
            let mut shown = ShownOutput::default();
            let pieces: String = output.chunks(size).map(|piece| shown.take(piece)).collect();
            assert_eq!(pieces + &shown.end(), expected, "pieces of {size}");
        }
    }
}
