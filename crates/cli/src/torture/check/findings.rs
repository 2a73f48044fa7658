//! What a check found, of which the first few are spelled out.

use std::fmt::Display;

/// Findings that are spelled out.
const MAX_FINDINGS: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<String>,
    more: usize,
}

impl Findings {
    pub(super) fn add(&mut self, finding: impl Display) {
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding.to_string());
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The findings, and how many more there are.
    pub(super) fn into_texts(mut self) -> Vec<String> {
        if self.more > 0 {
            self.list.push(format!("and {} more", self.more));
        }
        self.list
    }
}
