//! Events of the ledger itself.

use antiphon::event::{LedgerErased, LedgerOpened};

use super::sentence::{Sentence, names, said};
use crate::colour::Colour;
use crate::labels::counted;

pub(super) fn opened(opened: &LedgerOpened) -> Sentence {
    let LedgerOpened { epoch, host, pid, engine, accepted_shorter, .. } = opened;
    let accepted = if *accepted_shorter { ", despite its head mark" } else { "" };
    let text = format!(" in epoch {epoch} by antiphon {engine}, process {pid} on {host}{accepted}");
    Sentence::new("opened", Colour::Plain, text)
}

pub(super) fn erased(erased: &LedgerErased) -> Sentence {
    let mut what = Vec::new();
    if let Some(stream) = &erased.stream {
        let versions = names(erased.versions.iter());
        let word = if erased.versions.len() == 1 { "version" } else { "versions" };
        what.push(format!("{word} {versions} of {stream}"));
    }
    if !erased.blobs.is_empty() {
        what.push(counted(erased.blobs.len(), "blob"));
    }
    Sentence::new("erased", Colour::Plain, format!(" {}{}", what.join(", "), said(&erased.reason)))
}
