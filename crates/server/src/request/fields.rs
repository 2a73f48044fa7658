//! A JSON object taken apart field by field, with every fault in it at once and no value repeated:
//! a body may hold secrets.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::{BodyError, Code, Problem};

/// The fields of an object that have not been taken yet, and what was wrong so far.
#[derive(Default)]
pub(crate) struct Fields {
    left: Map<String, Value>,
    faults: Vec<BodyError>,
    /// What they were read from.
    source: Bytes,
}

impl Fields {
    pub(crate) fn new(left: Map<String, Value>, source: Bytes) -> Self {
        Self { left, faults: Vec::new(), source }
    }

    /// Takes an optional object apart likewise.
    pub(crate) fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let mut inner = match self.left.remove(name)? {
            Value::Null => return None,
            Value::Object(fields) => Self::new(fields, Bytes::new()),
            other => {
                let detail = format!("`{name}` must be an object, not {}", kind(&other));
                self.fault(format!("/{name}"), detail);
                return None;
            }
        };
        let read = read(&mut inner);
        inner.refuse_rest();
        self.absorb(&format!("/{name}"), inner);
        Some(read)
    }

    /// Takes an optional list of objects apart likewise.
    pub(crate) fn objects<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let Some(raw) = self.raw(name) else { return Vec::new() };
        let Ok(items) = serde_json::from_str::<Vec<Box<RawValue>>>(raw.get()) else {
            self.fault(format!("/{name}"), format!("`{name}` must be a list of objects"));
            return Vec::new();
        };
        let mut all = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let place = format!("/{name}/{at}");
            let Ok(Value::Object(fields)) = serde_json::from_str(item.get()) else {
                self.fault(place, format!("every one of `{name}` must be an object"));
                continue;
            };
            let mut inner = Self::new(fields, Bytes::copy_from_slice(item.get().as_bytes()));
            all.push(read(&mut inner));
            inner.refuse_rest();
            self.absorb(&place, inner);
        }
        all
    }

    /// Whether something was wrong so far.
    pub(crate) fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    fn absorb(&mut self, place: &str, inner: Self) {
        self.faults.extend(inner.faults.into_iter().map(|fault| {
            let pointer = fault.pointer.map(|pointer| format!("{place}{pointer}"));
            BodyError { pointer, ..fault }
        }));
    }

    /// An optional value of any kind, as it was written: its numbers may have more digits than can
    /// be held here.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.left.remove(name).filter(|value| !value.is_null())?;
        let mut all: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&self.source).ok()?;
        all.remove(name)
    }

    /// Notes that something is wrong at a pointer.
    pub(crate) fn fault(&mut self, pointer: String, detail: impl Into<String>) {
        self.faults.push(BodyError {
            detail: detail.into(),
            pointer: Some(pointer),
            ..BodyError::default()
        });
    }

    /// A required string.
    pub(crate) fn text(&mut self, name: &str) -> String {
        match self.optional_text(name) {
            Some(text) => text,
            None => {
                let pointer = format!("/{name}");
                if !self.faults.iter().any(|fault| fault.pointer.as_ref() == Some(&pointer)) {
                    self.fault(pointer, format!("`{name}` is missing"));
                }
                String::new()
            }
        }
    }

    /// An optional string.
    pub(crate) fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.left.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => {
                self.fault(
                    format!("/{name}"),
                    format!("`{name}` must be a string, not {}", kind(&other)),
                );
                None
            }
        }
    }

    /// An optional object of strings.
    pub(crate) fn texts(&mut self, name: &str) -> BTreeMap<String, String> {
        let fields = match self.left.remove(name) {
            None | Some(Value::Null) => return BTreeMap::new(),
            Some(Value::Object(fields)) => fields,
            Some(other) => {
                self.fault(
                    format!("/{name}"),
                    format!("`{name}` must be an object of strings, not {}", kind(&other)),
                );
                return BTreeMap::new();
            }
        };
        let mut texts = BTreeMap::new();
        for (key, value) in fields {
            match value {
                Value::String(text) => {
                    texts.insert(key, text);
                }
                other => self.fault(
                    pointer(name, &key),
                    format!("every value of `{name}` must be a string, not {}", kind(&other)),
                ),
            }
        }
        texts
    }

    /// An optional list of strings.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let items = match self.left.remove(name) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let detail = format!("`{name}` must be a list of strings, not {}", kind(&other));
                self.fault(format!("/{name}"), detail);
                return Vec::new();
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => self.fault(
                    format!("/{name}/{at}"),
                    format!("every one of `{name}` must be a string, not {}", kind(&other)),
                ),
            }
        }
        texts
    }

    /// An optional boolean.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.left.remove(name) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                let detail = format!("`{name}` must be true or false, not {}", kind(&other));
                self.fault(format!("/{name}"), detail);
                false
            }
        }
    }

    /// An optional positive integer.
    pub(crate) fn number(&mut self, name: &str, max: u64) -> Option<u64> {
        self.number_from(1, name, max)
    }

    /// An optional integer that is not below a first one.
    pub(crate) fn number_from(&mut self, first: u64, name: &str, max: u64) -> Option<u64> {
        match self.left.remove(name)? {
            Value::Null => None,
            Value::Number(number)
                if number.as_u64().is_some_and(|number| (first..=max).contains(&number)) =>
            {
                number.as_u64()
            }
            _ => {
                self.fault(
                    format!("/{name}"),
                    format!("`{name}` must be a whole number from {first} to {max}"),
                );
                None
            }
        }
    }

    /// Nothing else may be there, and nothing may have been wrong.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        self.refuse_rest();
        match self.faults.len() {
            0 => Ok(()),
            1 => {
                Err(Problem::new(Code::InvalidBody, "the body has an error")
                    .with_errors(self.faults))
            }
            n => Err(Problem::new(Code::InvalidBody, format!("the body has {n} errors"))
                .with_errors(self.faults)),
        }
    }

    fn refuse_rest(&mut self) {
        for name in std::mem::take(&mut self.left).keys() {
            self.fault(pointer_to(name), "unknown field");
        }
    }
}

/// The JSON pointer of a field in an object.
pub(crate) fn pointer(name: &str, key: &str) -> String {
    format!("/{name}{}", pointer_to(key))
}

fn pointer_to(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
