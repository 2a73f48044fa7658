//! Reading a mapping by its table of keys; what does not fit is reported and left out.

use std::collections::BTreeSet;

use super::keys::{Key, Object};
use crate::plan::text::{
    DiagnosticCode, Diagnostics, Node, Span, Spanned, Yaml, enumerate, shorten,
};

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

/// The keys of a mapping that its table knows.
pub(in crate::plan) struct Fields<'n> {
    object: &'static Object,
    span: Span,
    known: Vec<(&'static Key, &'n Node)>,
}

/// A key that the table does not know, with its value.
pub(in crate::plan) type UnknownKey<'n> = (&'n Spanned<String>, &'n Node);

impl<'n> Fields<'n> {
    /// Sorts the keys of a mapping; those that the table does not know are reported.
    pub(in crate::plan) fn read(
        node: &'n Node,
        object: &'static Object,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        let (fields, others) = Self::split(node, object, diagnostics)?;
        for (key, _) in others {
            unknown_key(key, object, &BTreeSet::new(), &fields.names(), diagnostics);
        }
        Some(fields)
    }

    /// The same, with the keys that the table does not know given back.
    pub(in crate::plan) fn split(
        node: &'n Node,
        object: &'static Object,
        diagnostics: &mut Diagnostics<'_>,
    ) -> Option<(Self, Vec<UnknownKey<'n>>)> {
        let entries = match &node.value {
            Yaml::Map(entries) => entries,
            Yaml::Broken => return None,
            _ => {
                let message = format!("{} must be a mapping, found {}", object.what, node.kind());
                let reported = diagnostics.error(DiagnosticCode::WrongType, node.span, message);
                reported.hint(format!("valid keys: {}", enumerate(&object.names())));
                return None;
            }
        };
        let (mut known, mut others) = (Vec::new(), Vec::new());
        for (key, value) in entries {
            if let Some(found) = object.key(&key.value) {
                known.push((found, value));
            } else if object.later.contains(&key.value.as_str()) {
                let message =
                    format!("`{}` is reserved and not supported by this version", key.value);
                diagnostics
                    .error(DiagnosticCode::NotYetSupported, key.span, message)
                    .hint("remove it");
            } else {
                others.push((key, value));
            }
        }
        for key in object.keys.iter().filter(|key| key.required) {
            if !known.iter().any(|(found, _)| found.name == key.name) {
                let message = format!("{} is missing `{}`", object.what, key.name);
                diagnostics
                    .error(DiagnosticCode::MissingKey, node.span, message)
                    .hint(format!("for example `{}`", key.example));
            }
        }
        Some((Self { object, span: node.span, known }, others))
    }

    pub(in crate::plan) fn object(&self) -> &'static Object {
        self.object
    }

    /// Where the whole mapping is written.
    pub(in crate::plan) fn span(&self) -> Span {
        self.span
    }

    /// The value of a key.
    pub(in crate::plan) fn get(&self, name: &str) -> Option<&'n Node> {
        debug_assert!(
            self.object.key(name).is_some(),
            "BUG: {name} is not in the table of {}",
            self.object.what
        );
        self.known.iter().find(|(key, _)| key.name == name).map(|(_, node)| *node)
    }

    /// The keys that are there.
    pub(in crate::plan) fn names(&self) -> Vec<&str> {
        self.known.iter().map(|(key, _)| key.name).collect()
    }

    /// Those of these keys that are there.
    pub(in crate::plan) fn present(&self, names: &[&'static str]) -> Vec<&'static str> {
        names.iter().copied().filter(|name| self.get(name).is_some()).collect()
    }
}

/// Reports an unknown key, with the one that was probably intended; `given` are those that could not
/// be there again.
pub(in crate::plan) fn unknown_key(
    key: &Spanned<String>,
    object: &Object,
    more: &BTreeSet<String>,
    given: &[&str],
    diagnostics: &mut Diagnostics<'_>,
) {
    if diagnostics.is_full() {
        return;
    }
    let mut names: Vec<&str> = object.names();
    names.extend(more.iter().map(String::as_str));
    let message = format!("unknown key `{}` in {}", shorten(&key.value), object.what);
    let elsewhere =
        ELSEWHERE.iter().find(|(name, ours)| *name == key.value && names.contains(ours));
    let hint = match elsewhere {
        Some((_, ours)) if given.contains(ours) => None,
        Some((_, ours)) => Some(format!("use `{ours}` instead")),
        None => diagnostics.similar(&key.value, names.iter().copied()).map(|ours| {
            match given.contains(&ours) {
                true => format!("remove it; `{ours}` is already there"),
                false => format!("did you mean `{ours}`?"),
            }
        }),
    };
    let hint = hint.unwrap_or_else(|| format!("valid keys: {}", enumerate(&names)));
    diagnostics.error(DiagnosticCode::UnknownKey, key.span, message).hint(hint);
}
