//! Where in a value an expression looks.

use std::fmt;

use serde_json::Value;

/// Where in a value an expression looks: `review.scores[0]`, `outputs["unit-tests"].passed`.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    offset: usize,
    root: Box<str>,
    steps: Vec<Step>,
}

/// From a value to one inside of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Member(Box<str>),
    Index(usize),
}

impl Path {
    pub(super) fn new(offset: usize, root: &str) -> Self {
        Self { offset, root: root.into(), steps: Vec::new() }
    }

    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The byte of the expression at which it begins.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Its first name.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What is there.
    pub(super) fn find<'v>(&self, over: &'v Value) -> Option<&'v Value> {
        let first = over.as_object()?.get(&*self.root)?;
        self.steps.iter().try_fold(first, |value, step| match step {
            Step::Member(name) => value.as_object()?.get(&**name),
            Step::Index(index) => value.as_array()?.get(*index),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        for step in &self.steps {
            match step {
                Step::Member(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Member(name) => write!(f, "[{name:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a name can follow a dot.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
