//! Reading a mapping by the table of keys, and values of each kind; what does not fit is told and
//! left out.

use std::collections::BTreeSet;

use super::keys::{Key, Object};
use super::node::{Node, Yaml};
use super::problem::{DiagnosticCode, Diagnostics, Reported};
use super::source::{Span, Spanned};
use super::units::{Bytes, Cost, Count, Millis, Share, UnitError};

/// What other tools call our keys.
const ELSEWHERE: &[(&str, &str)] = &[
    ("args", "command"),
    ("cmd", "command"),
    ("depends_on", "needs"),
    ("dependencies", "needs"),
    ("entrypoint", "command"),
    ("environment", "env"),
    ("inputs", "input"),
    ("jobs", "work"),
    ("max_parallel", "width"),
    ("outputs", "output"),
    ("parallel", "concurrency"),
    ("retries", "retry"),
    ("run", "command"),
    ("script", "shell"),
    ("stages", "work"),
    ("steps", "work"),
    ("strategy", "matrix"),
    ("tasks", "work"),
    ("uses", "runner"),
    ("vars", "env"),
];

/// How alike texts are (from 0 to 1) of which one may have been meant by the other.
const ALIKE: f64 = 0.8;

/// Names that are looked through for one that was meant; there may be thousands.
const LOOKED_THROUGH: usize = 1_000;

/// Names that a message lists; of more it says how many there are.
const LISTED: usize = 12;

/// The keys of a mapping that its table knows.
pub(super) struct Fields<'n> {
    object: &'static Object,
    /// The mapping.
    pub(super) span: Span,
    known: Vec<(&'static Key, &'n Node)>,
}

/// A key that the table does not know, with its value.
pub(super) type Other<'n> = (&'n Spanned<String>, &'n Node);

impl<'n> Fields<'n> {
    /// Sorts the keys of a mapping; those that the table does not know are told.
    pub(super) fn read(
        node: &'n Node,
        object: &'static Object,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        let (fields, others) = Self::split(node, object, diagnostics)?;
        for (key, _) in others {
            unknown_key(key, object, &BTreeSet::new(), diagnostics);
        }
        Some(fields)
    }

    /// The same, with the keys that the table does not know given back.
    pub(super) fn split(
        node: &'n Node,
        object: &'static Object,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<(Self, Vec<Other<'n>>)> {
        let entries = match &node.value {
            Yaml::Map(entries) => entries,
            Yaml::Broken => return None,
            _ => {
                let message = format!("{} is a mapping, but here is {}", object.what, node.kind());
                let told = diagnostics.error(DiagnosticCode::WrongType, node.span, message);
                told.hint(format!("its keys are {}", enumerate(&object.names())));
                return None;
            }
        };
        let (mut known, mut others) = (Vec::new(), Vec::new());
        for (key, value) in entries {
            if let Some(found) = object.key(&key.value) {
                known.push((found, value));
            } else if object.later.contains(&key.value.as_str()) {
                let message =
                    format!("`{}` is reserved, and not yet supported by this version", key.value);
                diagnostics
                    .error(DiagnosticCode::NotYetSupported, key.span, message)
                    .hint("leave it out");
            } else {
                others.push((key, value));
            }
        }
        for key in object.keys.iter().filter(|key| key.required) {
            if !known.iter().any(|(found, _)| found.name == key.name) {
                let message = format!("{} lacks `{}`", object.what, key.name);
                diagnostics
                    .error(DiagnosticCode::MissingKey, node.span, message)
                    .hint(format!("such as `{}`", key.example));
            }
        }
        Some((Self { object, span: node.span, known }, others))
    }

    /// The value of a key.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        debug_assert!(
            self.object.key(name).is_some(),
            "BUG: {name} is not in the table of {}",
            self.object.what
        );
        self.known.iter().find(|(key, _)| key.name == name).map(|(_, node)| *node)
    }

    /// Those of these keys that are there.
    pub(super) fn present(&self, names: &[&'static str]) -> Vec<&'static str> {
        names.iter().copied().filter(|name| self.get(name).is_some()).collect()
    }
}

/// Tells of a key that has no meaning, with the one that was meant.
pub(super) fn unknown_key(
    key: &Spanned<String>,
    object: &Object,
    more: &BTreeSet<String>,
    diagnostics: &mut Diagnostics<'_>,
) {
    if diagnostics.is_full() {
        return;
    }
    let mut names: Vec<&str> = object.names();
    names.extend(more.iter().map(String::as_str));
    let message = format!("{} has no key `{}`", object.what, shorten(&key.value));
    let elsewhere =
        ELSEWHERE.iter().find(|(name, ours)| *name == key.value && names.contains(ours));
    let hint = match elsewhere {
        Some((_, ours)) => Some(format!("that is `{ours}` here")),
        None => suggestion(&key.value, names.iter().copied()),
    };
    let hint = hint.unwrap_or_else(|| format!("its keys are {}", enumerate(&names)));
    diagnostics.error(DiagnosticCode::UnknownKey, key.span, message).hint(hint);
}

/// The name that was meant, as a question.
pub(super) fn suggestion<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    let likeness = |other: &str| {
        // One letter more or less of a short word is much by any measure, and the commonest
        // mistake.
        let close =
            strsim::damerau_levenshtein(name, other) <= 1 + other.len() / 5 && other.len() > 2;
        let alike = strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
        if close { alike.max(ALIKE) } else { alike }
    };
    // Nobody means by a very long text one of our names.
    if name.len() > 256 {
        return None;
    }
    let best = known
        .take(LOOKED_THROUGH)
        .map(|other| (likeness(other), other))
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then(y.cmp(x)));
    best.filter(|(alike, other)| *alike >= ALIKE && *other != name)
        .map(|(_, other)| format!("did you mean `{other}`?"))
}

/// Names for a message.
pub(super) fn enumerate(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        more if more > LISTED => format!("{} and {} more", shown.join(", "), more - LISTED),
        _ => shown.join(", "),
    }
}

/// Values of each kind.
impl Diagnostics<'_> {
    /// Tells that a value is of another kind than it should be.
    pub(super) fn wrong_type(&mut self, node: &Node, wanted: &str) -> Option<Reported<'_>> {
        if matches!(node.value, Yaml::Broken) {
            return None;
        }
        Some(self.error(
            DiagnosticCode::WrongType,
            node.span,
            format!("here should be {wanted}, not {}", node.kind()),
        ))
    }

    /// A text; a number or a truth value is one as it is written.
    pub(super) fn text(&mut self, node: &Node) -> Option<Spanned<String>> {
        match &node.value {
            Yaml::Plain(text) if !node.is_null() => Some(Spanned::new(text.clone(), node.span)),
            Yaml::Quoted(text) => Some(Spanned::new(text.clone(), node.span)),
            Yaml::List(_) | Yaml::Map(_) if self.source().slice(node.span).starts_with("{{") => {
                None
            }
            Yaml::Map(entries) if entries.len() == 1 => {
                self.wrong_type(node, "a text")?
                    .hint("a text with a colon and a space in it needs quotes");
                None
            }
            _ => {
                let hint = node.is_null().then(|| "an empty text is written \"\"".to_owned());
                self.wrong_type(node, "a text")?.hint_if(hint);
                None
            }
        }
    }

    /// The scalar of something that is written without quotes or with.
    fn scalar<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n str> {
        match &node.value {
            Yaml::Plain(text) if !node.is_null() => Some(text),
            Yaml::Quoted(text) => Some(text),
            _ => {
                self.wrong_type(node, wanted);
                None
            }
        }
    }

    pub(super) fn flag(&mut self, node: &Node) -> Option<bool> {
        match &node.value {
            Yaml::Plain(text) if text == "true" => Some(true),
            Yaml::Plain(text) if text == "false" => Some(false),
            Yaml::Plain(text) if !node.is_null() => {
                let hint = match text.to_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => Some("write `true`".to_owned()),
                    "no" | "off" | "n" | "false" => Some("write `false`".to_owned()),
                    _ => None,
                };
                self.wrong_type(node, "`true` or `false`")?.hint_if(hint);
                None
            }
            _ => {
                self.wrong_type(node, "`true` or `false`");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn integer(&mut self, node: &Node, min: i64, max: i64) -> Option<i64> {
        let wanted = format!("a whole number from {min} to {max}");
        let text = self.scalar(node, &wanted)?;
        match text.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            Ok(number) => {
                self.error(
                    DiagnosticCode::BadValue,
                    node.span,
                    format!("here should be {wanted}, not {number}"),
                );
                None
            }
            Err(_) => {
                self.error(
                    DiagnosticCode::WrongType,
                    node.span,
                    format!("here should be {wanted}, not `{}`", shorten(text)),
                );
                None
            }
        }
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let text = self.scalar(node, &format!("one of {}", enumerate(&names)))?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        if self.is_full() {
            return None;
        }
        let hint = suggestion(text, names.iter().copied());
        let message =
            format!("here should be one of {}, not `{}`", enumerate(&names), shorten(text));
        self.error(DiagnosticCode::BadValue, node.span, message).hint_if(hint);
        None
    }

    pub(super) fn duration(&mut self, node: &Node) -> Option<Millis> {
        self.quantity(node, "a duration", "`500ms`, `30s`, `10m`, `2h` or `1d`", Millis::read)
            .filter(|read| {
                let positive = read.0 > 0;
                if !positive {
                    self.error(
                        DiagnosticCode::BadValue,
                        node.span,
                        "here should be a duration of more than nothing",
                    );
                }
                positive
            })
    }

    pub(super) fn size(&mut self, node: &Node) -> Option<Bytes> {
        self.quantity(node, "a size", "`64KiB`, `1MB` or `2GiB`", Bytes::read)
    }

    pub(super) fn count(&mut self, node: &Node) -> Option<Count> {
        self.quantity(node, "a count", "`20`, `200k` or `1M`", Count::read)
    }

    pub(super) fn cost(&mut self, node: &Node) -> Option<Cost> {
        self.quantity(node, "a cost", "`2.50 USD`", Cost::read)
    }

    pub(super) fn share(&mut self, node: &Node) -> Option<Share> {
        self.quantity(node, "a share", "`20%` or `0.2`", Share::read)
    }

    fn quantity<T>(
        &mut self,
        node: &Node,
        what: &str,
        such: &str,
        read: fn(&str) -> Result<T, UnitError>,
    ) -> Option<T> {
        let text = self.scalar(node, what)?;
        let error = match read(text) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let text = shorten(text);
        let (code, message) = match error {
            UnitError::NoUnit => (DiagnosticCode::WrongUnit, format!("`{text}` has no unit")),
            UnitError::UnknownUnit(unit) => (
                DiagnosticCode::WrongUnit,
                format!("`{}` is no unit that {what} is given in", shorten(&unit)),
            ),
            UnitError::NoNumber => {
                (DiagnosticCode::WrongType, format!("here should be {what}, not `{text}`"))
            }
            UnitError::TooFine => {
                (DiagnosticCode::BadValue, format!("`{text}` is finer than what is counted"))
            }
            UnitError::TooLarge => (DiagnosticCode::BadValue, format!("`{text}` is too much")),
        };
        self.error(code, node.span, message).hint(format!("write it as {such}"));
        None
    }

    /// The entries of a list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, of: &str) -> Option<&'n [Node]> {
        match &node.value {
            Yaml::List(entries) => Some(entries),
            Yaml::Plain(text) | Yaml::Quoted(text) if !node.is_null() => {
                let plain = text.len() < 60
                    && text.chars().all(|c| c.is_alphanumeric() || " _-./=+".contains(c));
                let words: Vec<&str> = text.split_whitespace().collect();
                let hint = plain.then(|| format!("write it as [{}]", words.join(", ")));
                let hint = hint.or_else(|| Some("write it as [.., ..]".to_owned()));
                self.wrong_type(node, &format!("a list of {of}"))?.hint_if(hint);
                None
            }
            _ => {
                self.wrong_type(node, &format!("a list of {of}"));
                None
            }
        }
    }

    /// The entries of a mapping with names of the user's own.
    pub(super) fn entries<'n>(
        &mut self,
        node: &'n Node,
        of: &str,
    ) -> Option<&'n [(Spanned<String>, Node)]> {
        match &node.value {
            Yaml::Map(entries) => Some(entries),
            Yaml::List(_) => {
                self.wrong_type(node, &format!("a mapping from names to {of}"))?
                    .hint("write `NAME: ..` for each, without a dash");
                None
            }
            _ => {
                self.wrong_type(node, &format!("a mapping from names to {of}"));
                None
            }
        }
    }
}

/// A text that is short enough for a message.
pub(super) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        shown.push('…');
    }
    shown
}
