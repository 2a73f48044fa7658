//! An earlier receipt that the present ledger is compared with: an owner of one can tell a
//! rewritten ledger from the one that issued it.

use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, Recorded};

use super::finding::{Findings, Place, Wrong};
use super::stream::Consequence;
use crate::ledger::export::{Export, verify_export};

/// An earlier receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum Earlier {
    Export(Box<Export>),
    /// The hash of a receipt.
    Receipt(Digest),
}

/// Why a file is no earlier receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither an exported receipt nor the hash of one, which is 64 hexadecimal digits: {how}")]
pub struct NotAnEarlierReceipt {
    how: String,
}

impl Earlier {
    /// Reads an exported receipt, or the hash of a receipt as text.
    ///
    /// # Errors
    /// When it is neither.
    pub fn read(bytes: &[u8]) -> Result<Self, NotAnEarlierReceipt> {
        if let Some(hash) = str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok()) {
            return Ok(Self::Receipt(hash));
        }
        match Export::read(bytes) {
            Ok(export) => Ok(Self::Export(Box::new(export))),
            Err(error) => Err(NotAnEarlierReceipt { how: error.to_string() }),
        }
    }
}

/// Watches a ledger go by and looks for what the earlier receipt saw.
pub(super) struct EarlierCheck<'a> {
    earlier: &'a Earlier,
    seen: bool,
    wrong: Vec<String>,
}

impl<'a> EarlierCheck<'a> {
    /// What is wrong with the export itself is found first.
    pub(super) fn new(earlier: &'a Earlier, findings: &mut Findings) -> Self {
        if let Earlier::Export(export) = earlier {
            for finding in verify_export(&export.to_bytes()).findings {
                findings.add(finding.place, finding.wrong);
            }
        }
        Self { earlier, seen: false, wrong: Vec::new() }
    }

    /// Takes in an event, the end of the commit chain before the commit that holds it, and that
    /// commit.
    pub(super) fn event(
        &mut self,
        event: &Recorded,
        before: Option<CommitTip>,
        commit: Option<CommitTip>,
        said: &Consequence,
    ) {
        match self.earlier {
            Earlier::Receipt(hash) => {
                self.seen |= matches!(said, Consequence::Ended { receipt: Some(receipt), .. } if receipt == hash);
            }
            Earlier::Export(export) => {
                let Some(expected) = export.hash_at(&event.stream, event.version) else { return };
                let mut differs = |what: &str| {
                    self.wrong.push(format!(
                        "{what} of event {} of `{}` differs",
                        event.version, event.stream
                    ));
                };
                if expected != event.hash {
                    differs("the hash");
                }
                if export.is_last(event.version) {
                    self.seen = true;
                    if before != Some(export.before) {
                        differs("the commit before that");
                    }
                    if commit != Some(export.commit.tip()) {
                        differs("the commit");
                    }
                }
            }
        }
    }

    pub(super) fn finish(self, findings: &mut Findings) {
        let mut wrong = self.wrong;
        if !self.seen {
            wrong.push(match self.earlier {
                Earlier::Receipt(hash) => {
                    format!("no run in this ledger ended with receipt {hash}")
                }
                Earlier::Export(export) => {
                    format!("run {} ended differently in this ledger", export.coordination)
                }
            });
        }
        for how in wrong {
            findings
                .add(Place::Beside { what: "the ledger".to_owned() }, Wrong::NotExtended { how });
        }
    }
}
