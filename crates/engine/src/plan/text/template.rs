//! Texts with placeholders: `{{name}}`, `{{input.name}}`, `{{item.output.name}}`.

use super::diagnostic::{DiagnosticCode, Diagnostics};
use super::phrases::shorten;
use super::source::{Span, Spanned};

/// How braces are written that are none.
const BRACES: &str = "two braces as text are {{\"{{\"}} within single quotes";

/// A text as it is written, cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::plan) struct Template {
    pub(in crate::plan) pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plan) enum Piece {
    Text(String),
    Hole(Hole, Span),
}

/// What a placeholder refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plan) enum Hole {
    /// A parameter of a runner, or of a matrix.
    Parameter(String),
    /// The path of an input.
    Input(String),
    /// The output of an item, or one part of it. The item's name may contain matrix parameters.
    Output { item: Template, name: Option<String> },
}

impl Template {
    /// Reads a text; malformed placeholders are reported and left out.
    pub(in crate::plan) fn read(text: &Spanned<String>, diagnostics: &mut Diagnostics<'_>) -> Self {
        Self::parse(text, diagnostics, true)
    }

    fn parse(text: &Spanned<String>, diagnostics: &mut Diagnostics<'_>, outputs: bool) -> Self {
        let begin = content(text, diagnostics);
        let place = |from: usize, to: usize| {
            begin.map_or(text.span, |begin| Span::new(begin + from, begin + to))
        };
        let mut pieces = Vec::new();
        let (mut rest, mut at) = (text.value.as_str(), 0);
        while let Some(open) = rest.find("{{") {
            push_text(&mut pieces, &rest[..open]);
            let inside = &rest[open + 2..];
            let Some(close) = closing(inside) else {
                let span = place(at + open, at + rest.len());
                diagnostics
                    .error(DiagnosticCode::BadPlaceholder, span, "this placeholder is not closed")
                    .hint(format!("close it with `}}}}`; {BRACES}"));
                return Self { pieces };
            };
            let span = place(at + open, at + open + close + 4);
            let name = &inside[..close];
            match literal(name) {
                Some(text) => push_text(&mut pieces, text),
                None => pieces.extend(
                    hole(name, span, diagnostics, outputs).map(|hole| Piece::Hole(hole, span)),
                ),
            }
            at += open + close + 4;
            rest = &inside[close + 2..];
        }
        push_text(&mut pieces, rest);
        Self { pieces }
    }

    /// The parameters that it names, also in the names of items.
    pub(in crate::plan) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().flat_map(|piece| {
            let (own, item) = match piece {
                Piece::Hole(Hole::Parameter(name), _) => (Some(name.as_str()), None),
                Piece::Hole(Hole::Output { item, .. }, _) => (None, Some(item)),
                _ => (None, None),
            };
            let inner =
                item.into_iter().flat_map(|item| item.pieces.iter()).filter_map(
                    |piece| match piece {
                        Piece::Hole(Hole::Parameter(name), _) => Some(name.as_str()),
                        _ => None,
                    },
                );
            own.into_iter().chain(inner)
        })
    }

    /// The text, if there is no placeholder in it.
    pub(in crate::plan) fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// Where the placeholder that begins before this text ends; placeholders and quotes inside of it
/// are skipped.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], quote) {
            (byte, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => {}
            (byte @ (b'"' | b'\''), None) => quote = Some(byte),
            (b'{', None) if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            (b'}', None) if bytes.get(at + 1) == Some(&b'}') => {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The text in quotes that a placeholder holds: how braces are written that are none.
fn literal(name: &str) -> Option<&str> {
    let name = name.trim();
    let inner = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\''))
}

fn hole(name: &str, span: Span, diagnostics: &mut Diagnostics<'_>, outputs: bool) -> Option<Hole> {
    let name = name.trim();
    if is_name(name) {
        return Some(Hole::Parameter(name.to_owned()));
    }
    if let Some(input) = name.strip_prefix("input.").filter(|input| is_name(input)) {
        return Some(Hole::Input(input.to_owned()));
    }
    if outputs && let Some((item, part)) = output(name) {
        let item = Template::parse(&Spanned::new(item.to_owned(), span), diagnostics, false);
        return Some(Hole::Output { item, name: part.map(str::to_owned) });
    }
    diagnostics
        .error(
            DiagnosticCode::BadPlaceholder,
            span,
            format!("`{}` is not a valid placeholder", shorten(name)),
        )
        .hint(format!(
            "placeholders are {{{{parameter}}}}, {{{{input.NAME}}}}, {{{{ITEM.output}}}} and \
            {{{{ITEM.output.NAME}}}}; {BRACES}"
        ));
    None
}

/// Splits `ITEM.output` and `ITEM.output.NAME`.
fn output(name: &str) -> Option<(&str, Option<&str>)> {
    if let Some(item) = name.strip_suffix(".output") {
        return (!item.is_empty()).then_some((item, None));
    }
    let (head, part) = name.rsplit_once('.')?;
    let item = head.strip_suffix(".output")?;
    (!item.is_empty() && is_name(part)).then_some((item, Some(part)))
}

/// Whether a text can name a parameter, an input or an output.
pub(in crate::plan) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Where in the file the text begins, if the file contains it as it is: without escapes, and on one
/// line.
fn content(text: &Spanned<String>, diagnostics: &Diagnostics<'_>) -> Option<usize> {
    let written = diagnostics.source().slice(text.span);
    let offset = usize::from(matches!(written.as_bytes().first(), Some(b'"' | b'\'')));
    written.get(offset..)?.starts_with(&text.value).then_some(text.span.start + offset)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::text::source::SourceText;

    fn read(text: &str) -> String {
        let source = SourceText::new(Path::new("p.yaml"), text);
        let mut diagnostics = Diagnostics::new(&source);
        let template = Template::read(
            &Spanned::new(text.to_owned(), Span::new(0, text.len())),
            &mut diagnostics,
        );
        let reported =
            diagnostics.finish().err().map_or(String::new(), |problems| format!(" !! {problems}"));
        let pieces: Vec<String> = template.pieces.iter().map(shown).collect();
        format!("{}{reported}", pieces.join("|"))
    }

    fn shown(piece: &Piece) -> String {
        match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(Hole::Parameter(name), span) => format!("<{name}@{}>", span.start),
            Piece::Hole(Hole::Input(name), _) => format!("<input {name}>"),
            Piece::Hole(Hole::Output { item, name }, _) => {
                let item: Vec<String> = item.pieces.iter().map(shown).collect();
                format!("<{}:{}>", item.join("+"), name.as_deref().unwrap_or("*"))
            }
        }
    }

    #[test]
    fn texts_are_cut_at_their_placeholders() {
        assert_eq!(read("plain"), "plain");
        assert_eq!(read("--in={{script}}.py"), "--in=|<script@5>|.py");
        assert_eq!(read("{{ input.contract }}"), "<input contract>");
        assert_eq!(read("{{a/b.c.output}}{{models.output.path}}"), "<a/b.c:*>|<models:path>");
        assert_eq!(read("{{build[{{target}}].output.lib}}"), "<build[+<target@0>+]:lib>");
        assert_eq!(read("{{\"{{\"}}x}}"), "{{x}}");
    }

    #[test]
    fn malformed_placeholders_are_reported() {
        assert_eq!(
            read("a {{b"),
            "a  !! p.yaml:1:3: this placeholder is not closed (close it with `}}`; two braces as \
            text are {{\"{{\"}} within single quotes)"
        );
        let how = "placeholders are {{parameter}}, {{input.NAME}}, {{ITEM.output}} and \
            {{ITEM.output.NAME}}; two braces as text are {{\"{{\"}} within single quotes";
        assert_eq!(read("{{}}"), format!(" !! p.yaml:1:1: `` is not a valid placeholder ({how})"));
        assert_eq!(
            read("{{a b}}"),
            format!(" !! p.yaml:1:1: `a b` is not a valid placeholder ({how})")
        );
    }
}
