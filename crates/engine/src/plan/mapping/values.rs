//! Reading values of each kind that a key can take.

use serde_json::Value;

use crate::plan::text::{
    Bytes, Cost, Count, DiagnosticCode, Diagnostics, Millis, Node, Reported, Share, Spanned,
    UnitError, Yaml, enumerate, shorten,
};

/// Each returns `None` for a value that does not fit, which is reported then.
impl Diagnostics<'_> {
    /// Tells that a value is of another kind than it should be.
    pub(in crate::plan) fn wrong_type(
        &mut self,
        node: &Node,
        wanted: &str,
    ) -> Option<Reported<'_>> {
        if matches!(node.value, Yaml::Broken) {
            return None;
        }
        Some(self.error(
            DiagnosticCode::WrongType,
            node.span,
            format!("expected {wanted}, found {}", node.kind()),
        ))
    }

    /// A text; a number or a truth value is one as it is written.
    pub(in crate::plan) fn text(&mut self, node: &Node) -> Option<Spanned<String>> {
        match &node.value {
            Yaml::Plain(text) if !node.is_null() => Some(Spanned::new(text.clone(), node.span)),
            Yaml::Quoted(text) => Some(Spanned::new(text.clone(), node.span)),
            Yaml::Map(entries) if entries.len() == 1 => {
                self.wrong_type(node, "text")?
                    .hint("text that contains a colon followed by a space needs quotes");
                None
            }
            _ => {
                let hint = node.is_null().then(|| "write it, or \"\" for empty text".to_owned());
                self.wrong_type(node, "text")?.hint_if(hint);
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

    pub(in crate::plan) fn flag(&mut self, node: &Node) -> Option<bool> {
        match &node.value {
            Yaml::Plain(text) if text == "true" => Some(true),
            Yaml::Plain(text) if text == "false" => Some(false),
            Yaml::Plain(text) | Yaml::Quoted(text) if !node.is_null() => {
                let hint = match text.to_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => Some("write `true`, without quotes".to_owned()),
                    "no" | "off" | "n" | "false" => {
                        Some("write `false`, without quotes".to_owned())
                    }
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
    pub(in crate::plan) fn integer(&mut self, node: &Node, min: i64, max: i64) -> Option<i64> {
        let wanted = format!("a whole number from {min} to {max}");
        let text = self.scalar(node, &wanted)?;
        match text.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            Ok(number) => {
                self.error(
                    DiagnosticCode::BadValue,
                    node.span,
                    format!("expected {wanted}, found {number}"),
                );
                None
            }
            Err(_) => {
                self.error(
                    DiagnosticCode::WrongType,
                    node.span,
                    format!("expected {wanted}, found `{}`", shorten(text)),
                );
                None
            }
        }
    }

    /// A whole number from 1 to a bound.
    pub(in crate::plan) fn number(&mut self, node: &Node, max: u32) -> Option<u32> {
        self.integer(node, 1, max.into()).and_then(|number| u32::try_from(number).ok())
    }

    /// One of some words.
    pub(in crate::plan) fn choice<T: Copy>(
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
        let hint = self.suggestion(text, names.iter().copied());
        let message = format!("expected one of {}, found `{}`", enumerate(&names), shorten(text));
        self.error(DiagnosticCode::BadValue, node.span, message).hint_if(hint);
        None
    }

    pub(in crate::plan) fn duration(&mut self, node: &Node) -> Option<Millis> {
        self.quantity(node, "a duration", "`500ms`, `30s`, `10m`, `2h` or `1d`", Millis::read)
            .filter(|read| {
                let positive = read.0 > 0;
                if !positive {
                    self.error(
                        DiagnosticCode::BadValue,
                        node.span,
                        "the duration must be longer than zero",
                    );
                }
                positive
            })
    }

    pub(in crate::plan) fn size(&mut self, node: &Node) -> Option<Bytes> {
        self.quantity(node, "a size", "`64KiB`, `1MB` or `2GiB`", Bytes::read)
    }

    /// A count of at least one: with a ceiling of none nothing would ever start.
    pub(in crate::plan) fn positive_count(&mut self, node: &Node) -> Option<u64> {
        let count = self.quantity(node, "a count", "`20`, `200k` or `1M`", Count::read)?;
        self.positive(node, count.0).then_some(count.0)
    }

    /// A cost of more than nothing: with a ceiling of none nothing would ever start.
    pub(in crate::plan) fn positive_cost(&mut self, node: &Node) -> Option<Cost> {
        let cost = self.quantity(node, "a cost", "`2.50 USD`", Cost::read)?;
        self.positive(node, cost.millionths).then_some(cost)
    }

    fn positive(&mut self, node: &Node, amount: u64) -> bool {
        if amount == 0 {
            let message = "with a limit of 0, nothing could ever start";
            self.error(DiagnosticCode::BadValue, node.span, message);
        }
        amount > 0
    }

    pub(in crate::plan) fn share(&mut self, node: &Node) -> Option<Share> {
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
        let how = match error {
            UnitError::TooFine => "use a coarser one, like",
            UnitError::TooLarge => "use a smaller one, like",
            _ => "write it like",
        };
        let (code, message) = match error {
            UnitError::NoUnit => (DiagnosticCode::WrongUnit, format!("`{text}` is missing a unit")),
            UnitError::UnknownUnit(unit) => {
                (DiagnosticCode::WrongUnit, format!("unknown unit `{}` for {what}", shorten(&unit)))
            }
            UnitError::NoNumber => {
                (DiagnosticCode::WrongType, format!("expected {what}, found `{text}`"))
            }
            UnitError::TooFine => (DiagnosticCode::BadValue, format!("`{text}` is too precise")),
            UnitError::TooLarge => (DiagnosticCode::BadValue, format!("`{text}` is too large")),
        };
        self.error(code, node.span, message).hint(format!("{how} {such}"));
        None
    }

    /// The entries of a list.
    pub(in crate::plan) fn list<'n>(&mut self, node: &'n Node, of: &str) -> Option<&'n [Node]> {
        match &node.value {
            Yaml::List(entries) => Some(entries),
            Yaml::Plain(text) | Yaml::Quoted(text) if !node.is_null() => {
                let plain = text.len() < 60
                    && text.chars().all(|c| c.is_alphanumeric() || " _-./=+".contains(c));
                let words: Vec<String> = text.split_whitespace().map(as_text).collect();
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
    /// Anything, as JSON: what reads as JSON without quotes is what it reads as.
    pub(in crate::plan) fn json(&mut self, node: &Node) -> Option<Value> {
        match &node.value {
            Yaml::Broken => None,
            Yaml::Plain(_) if node.is_null() => Some(Value::Null),
            Yaml::Plain(text) => {
                Some(serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()))
            }
            Yaml::Quoted(text) => Some(text.as_str().into()),
            Yaml::List(nodes) => nodes.iter().map(|node| self.json(node)).collect(),
            Yaml::Map(entries) => {
                let members =
                    entries.iter().map(|(name, node)| Some((name.value.clone(), self.json(node)?)));
                members.collect::<Option<_>>().map(Value::Object)
            }
        }
    }

    pub(in crate::plan) fn entries<'n>(
        &mut self,
        node: &'n Node,
        of: &str,
    ) -> Option<&'n [(Spanned<String>, Node)]> {
        match &node.value {
            Yaml::Map(entries) => Some(entries),
            Yaml::List(_) => {
                self.wrong_type(node, &format!("a mapping from names to {of}"))?
                    .hint("write each entry as `NAME: ..`, without a dash");
                None
            }
            _ => {
                self.wrong_type(node, &format!("a mapping from names to {of}"));
                None
            }
        }
    }
}

/// A word as it is written in a list of texts, where YAML takes some for something else.
fn as_text(word: &str) -> String {
    match word {
        "-" | "null" | "Null" | "NULL" => format!("\"{word}\""),
        word => word.to_owned(),
    }
}
