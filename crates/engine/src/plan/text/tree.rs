//! The YAML of a plan as a tree in which everything knows its place.
//!
//! A deserialiser would stop at the first problem; this tree is read by hand, so that all of them
//! are reported at once. Its size is bounded while it grows, however aliases multiply.

use std::collections::BTreeMap;

use granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, StrInput, StructureStyle,
};

use super::diagnostic::{DiagnosticCode, Diagnostics};
use super::source::{Span, Spanned};

/// Deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 32;

/// What all nodes may weigh with their aliases written out, in bytes.
const MAX_WEIGHT: usize = 8 << 20;

/// What a node weighs in addition to its text.
const NODE_WEIGHT: usize = 32;

/// Longest single text, in bytes.
pub(in crate::plan) const MAX_TEXT_BYTES: usize = 64 << 10;

/// A value and its place.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Node {
    pub(in crate::plan) value: Yaml,
    pub(in crate::plan) span: Span,
}

#[derive(Debug, Clone)]
pub(in crate::plan) enum Yaml {
    /// A text without quotes, which may also be a number, a truth value or nothing.
    Plain(String),
    /// A text in quotes or a block.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
    /// Something that was already reported.
    Broken,
}

impl Node {
    /// Whether there is nothing: no text, `null` or `~`.
    pub(in crate::plan) fn is_null(&self) -> bool {
        matches!(&self.value, Yaml::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for a message.
    pub(in crate::plan) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Yaml::Plain(text) if text.parse::<f64>().is_ok() => "a number",
            Yaml::Plain(text) if matches!(text.as_str(), "true" | "false") => "a boolean",
            Yaml::Plain(_) | Yaml::Quoted(_) => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a mapping",
            Yaml::Broken => "something broken",
        }
    }
}

/// Reads the one document of a plan. `None` if there is no tree to look at; the problem is
pub(in crate::plan) fn read(diagnostics: &mut Diagnostics<'_>) -> Option<Node> {
    let source = diagnostics.source();
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    // One more than our own limit, which has the better message.
    options.flow_nesting_limit = MAX_DEPTH + 1;
    options.block_nesting_limit = MAX_DEPTH + 1;
    let parser = Parser::new_from_str_with_options(source.text(), options);
    let mut tree =
        Builder { parser, diagnostics, anchors: BTreeMap::new(), weight: 0, last: Span::default() };
    match tree.document() {
        Ok(root) => root,
        Err(Halt::Syntax(error)) => {
            tree.syntax(&error);
            None
        }
        Err(Halt::Reported) => None,
    }
}

/// Why there is no more to read.
enum Halt {
    Syntax(ScanError),
    /// A problem was reported, and continuing makes no sense.
    Reported,
}

impl From<ScanError> for Halt {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Builder<'a, 'b> {
    parser: Parser<'a, StrInput<'a>>,
    diagnostics: &'b mut Diagnostics<'a>,
    /// What an alias refers to; `None` while its anchor is still being read.
    anchors: BTreeMap<usize, Option<(Node, usize)>>,
    weight: usize,
    last: Span,
}

impl<'a> Builder<'a, '_> {
    fn document(&mut self) -> Result<Option<Node>, Halt> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a plan is a single YAML document, but a second one starts here";
                    self.diagnostics.error(DiagnosticCode::NotInPlans, span, message);
                    return Err(Halt::Reported);
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        if root.is_none() {
            self.diagnostics
                .error(DiagnosticCode::MissingKey, Span::default(), "the file is empty")
                .hint("`antiphon plan schema` describes what a plan contains");
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Halt> {
        let Some((event, span)) = self.parser.next_event().transpose()? else { return Ok(None) };
        let span = span.byte_range().map_or(self.last, |range| Span::new(range.start, range.end));
        self.last = span;
        Ok(Some((event, span)))
    }

    /// The event inside of a collection; its end always comes.
    fn inside(&mut self) -> Result<(Event<'a>, Span), Halt> {
        match self.next()? {
            Some(found) => Ok(found),
            None => {
                self.diagnostics.error(
                    DiagnosticCode::Syntax,
                    self.last,
                    "the file ends inside a list or mapping",
                );
                Err(Halt::Reported)
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Halt> {
        if depth > MAX_DEPTH {
            self.too_deep(span);
            return Err(Halt::Reported);
        }
        let tagged = event.tag().is_some();
        if tagged {
            self.diagnostics
                .error(
                    DiagnosticCode::NotInPlans,
                    span,
                    "tags such as `!!str` are not supported in plans",
                )
                .hint("remove the tag; quote a value to make it text");
        }
        let before = self.weight;
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                self.diagnostics
                    .error(
                        DiagnosticCode::Syntax,
                        span,
                        format!("no anchor `&{name}` is defined before this alias"),
                    )
                    .hint("text that starts with `*` needs quotes");
                return Ok(Node { value: Yaml::Broken, span });
            }
            Event::Scalar(text, style, anchor, _) => {
                self.weigh(text.len(), span)?;
                if text.len() > MAX_TEXT_BYTES {
                    let message = format!(
                        "this text has {} bytes; at most {MAX_TEXT_BYTES} are allowed",
                        text.len()
                    );
                    self.diagnostics
                        .error(DiagnosticCode::TooLarge, span, message)
                        .hint("put it in a file and list the file as an input");
                    return Ok(Node { value: Yaml::Broken, span });
                }
                let text = text.into_owned();
                let value = if style == ScalarStyle::Plain {
                    Yaml::Plain(text)
                } else {
                    Yaml::Quoted(text)
                };
                (Node { value, span }, anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(anchor);
                (self.list(style, span, depth)?, anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(anchor);
                (self.map(style, span, depth)?, anchor)
            }
            _ => {
                self.diagnostics.error(DiagnosticCode::Syntax, span, "expected a value");
                return Err(Halt::Reported);
            }
        };
        if anchor != 0 {
            self.anchors.insert(anchor, Some((value.clone(), self.weight - before)));
            self.weigh(self.weight - before, span)?;
        }
        Ok(value)
    }

    fn open(&mut self, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Halt> {
        match self.anchors.get(&id).cloned() {
            Some(Some((node, weight))) => {
                self.weigh(weight, span)?;
                Ok(node)
            }
            _ => {
                self.diagnostics.error(
                    DiagnosticCode::Syntax,
                    span,
                    "this alias refers to a value that contains it",
                );
                Ok(Node { value: Yaml::Broken, span })
            }
        }
    }

    fn list(&mut self, style: StructureStyle, start: Span, depth: usize) -> Result<Node, Halt> {
        self.weigh(0, start)?;
        let mut entries = Vec::new();
        loop {
            match self.inside()? {
                (Event::SequenceEnd, end) => {
                    let first = entries.first().map_or(start, |entry: &Node| entry.span);
                    return Ok(Node {
                        span: whole(style, start, first, end),
                        value: Yaml::List(entries),
                    });
                }
                (event, span) => entries.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, style: StructureStyle, start: Span, depth: usize) -> Result<Node, Halt> {
        self.weigh(0, start)?;
        let mut entries: Vec<(Spanned<String>, Node)> = Vec::new();
        let mut first: BTreeMap<String, Span> = BTreeMap::new();
        let mut is_placeholder = false;
        loop {
            let (event, span) = self.inside()?;
            if matches!(event, Event::MappingEnd) {
                let begin = entries.first().map_or(start, |(key, _)| key.span);
                // What else would be said of a placeholder without quotes is wrong once it has them.
                let value = if is_placeholder { Yaml::Broken } else { Yaml::Map(entries) };
                return Ok(Node { span: whole(style, start, begin, span), value });
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.inside()?;
            let value = self.node(event, span, depth + 1)?;
            let name = match key.value {
                Yaml::Plain(name) if name == "<<" => {
                    self.diagnostics
                        .error(
                            DiagnosticCode::NotInPlans,
                            key.span,
                            "merge keys (`<<`) are not \
                            part of YAML 1.2 and not supported in plans",
                        )
                        .hint(
                            "write the keys out, or reuse a whole value by its alias: `retry: \
                            *name`",
                        );
                    continue;
                }
                Yaml::Plain(name) | Yaml::Quoted(name) => name,
                Yaml::Broken => continue,
                Yaml::List(_) | Yaml::Map(_) => {
                    is_placeholder |=
                        self.odd_key(start, key.span) && matches!(style, StructureStyle::Flow);
                    continue;
                }
            };
            if let Some(before) = first.get(&name) {
                let line = self.diagnostics.source().line(*before);
                let message = format!("duplicate key `{name}`; it first appears on line {line}");
                self.diagnostics.error(DiagnosticCode::DuplicateKey, key.span, message);
                continue;
            }
            first.insert(name.clone(), key.span);
            entries.push((Spanned::new(name, key.span), value));
        }
    }

    /// A key that is a list or a mapping: mostly a placeholder without quotes, which it tells.
    fn odd_key(&mut self, start: Span, key: Span) -> bool {
        let at = Span::new(start.start.min(key.start), key.end);
        let text = self.diagnostics.source().text().get(at.start..);
        let is_placeholder = text.is_some_and(|text| text.starts_with("{{"));
        if is_placeholder {
            self.diagnostics
                .error(
                    DiagnosticCode::Syntax,
                    at,
                    "YAML reads a placeholder without quotes as a mapping",
                )
                .hint("quote it: \"{{..}}\"");
        } else {
            self.diagnostics.error(DiagnosticCode::NotInPlans, key, "a key must be text");
        }
        is_placeholder
    }

    fn weigh(&mut self, bytes: usize, span: Span) -> Result<(), Halt> {
        self.weight = self.weight.saturating_add(NODE_WEIGHT + bytes);
        if self.weight <= MAX_WEIGHT {
            return Ok(());
        }
        let message =
            format!("with its aliases expanded, this plan is larger than {} MiB", MAX_WEIGHT >> 20);
        self.diagnostics
            .error(DiagnosticCode::TooLarge, span, message)
            .hint("aliases that refer to each other multiply; use fewer");
        Err(Halt::Reported)
    }

    fn too_deep(&mut self, span: Span) {
        let message = format!("lists and mappings are nested more than {MAX_DEPTH} levels deep");
        self.diagnostics.error(DiagnosticCode::TooLarge, span, message);
    }

    fn syntax(&mut self, error: &ScanError) {
        let at = error.marker().byte_offset().unwrap_or(self.last.end);
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            self.too_deep(Span::new(at, at + 1));
            return;
        }
        let text = self.diagnostics.source().text();
        let end = text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(at, |c| if c == '\n' { at } else { at + c.len_utf8() });
        let before = text.get(..at).unwrap_or_default();
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let indent = text.get(line..).unwrap_or_default();
        let indent = &indent[..indent.find(|c: char| c != ' ' && c != '\t').unwrap_or(0)];
        let hint = if indent.contains('\t') {
            Some("indent YAML with spaces, not tabs".to_owned())
        } else if text.get(at..).unwrap_or_default().starts_with("{{") || before.ends_with("{{") {
            Some("quote placeholders: \"{{..}}\"".to_owned())
        } else if ["did not find expected key", "illegal placement of ':'"]
            .iter()
            .any(|info| error.info().contains(info))
        {
            Some(
                "this line's indentation does not match the lines above, or one of those is \
                incomplete"
                    .to_owned(),
            )
        } else {
            None
        };
        let message = format!("invalid YAML: {}", error.info());
        self.diagnostics.error(DiagnosticCode::Syntax, Span::new(at, end), message).hint_if(hint);
    }
}

/// The part that a collection takes: all of one in brackets, the first entry of any other.
fn whole(style: StructureStyle, start: Span, first: Span, end: Span) -> Span {
    match style {
        StructureStyle::Flow if start.end > start.start => Span::new(start.start, end.end),
        _ => first,
    }
}
