//! What was erased, against what the `ledger` stream says was erased.

use std::collections::{BTreeMap, HashMap, HashSet};

use antiphon_core::digest::Digest;
use antiphon_core::event::LedgerErased;
use antiphon_core::id::{StreamName, Version};

use super::finding::{Findings, Wrong};

/// Erasures so far. Takes memory by erased payload, not by event.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// Erased payloads, and whether an event names them.
    payloads: HashMap<StreamName, BTreeMap<Version, bool>>,
    /// Blobs that an event names and that are not there.
    missing: HashMap<Digest, (StreamName, Version)>,
    /// Blobs that an event names, that are not there, and that a later event names as erased.
    blobs: HashSet<Digest>,
}

impl Erasures {
    pub(super) fn payload(&mut self, stream: &StreamName, version: Version) {
        self.payloads.entry(stream.clone()).or_default().insert(version, false);
    }

    pub(super) fn missing_blob(&mut self, blob: Digest, stream: &StreamName, version: Version) {
        self.missing.entry(blob).or_insert_with(|| (stream.clone(), version));
    }

    /// Takes in a `ledger.erased` event, which comes after all that it names. Returns the events
    /// whose payload was there when they were read.
    #[must_use = "they may have been erased after they were read"]
    pub(super) fn named(&mut self, erased: &LedgerErased) -> Vec<(StreamName, Version)> {
        for blob in &erased.blobs {
            if self.missing.remove(blob).is_some() {
                self.blobs.insert(*blob);
            }
        }
        let Some(stream) = erased.stream.as_ref().and_then(|name| name.parse::<StreamName>().ok())
        else {
            return Vec::new();
        };
        let mut payloads = self.payloads.get_mut(&stream);
        let mut there = Vec::new();
        for &version in &erased.versions {
            match payloads.as_mut().and_then(|payloads| payloads.get_mut(&version)) {
                Some(named) => *named = true,
                None => there.push((stream.clone(), version)),
            }
        }
        there
    }

    /// Whether all that was seen erased is named.
    pub(super) fn is_settled(&self) -> bool {
        self.missing.is_empty()
            && self.payloads.values().all(|versions| versions.values().all(|named| *named))
    }

    /// Number of blobs that were erased as recorded.
    pub(super) fn blobs(&self) -> u64 {
        self.blobs.len() as u64
    }

    pub(super) fn finish(self, findings: &mut Findings) {
        let mut unnamed: Vec<_> = self
            .payloads
            .into_iter()
            .flat_map(|(stream, versions)| {
                versions
                    .into_iter()
                    .filter(|(_, named)| !named)
                    .map(move |(version, _)| (stream.clone(), version))
            })
            .collect();
        unnamed.sort();
        for (stream, version) in unnamed {
            findings.event(&stream, version, Wrong::ErasedUnnamed);
        }
        let mut missing: Vec<_> = self.missing.into_iter().map(|(blob, at)| (at, blob)).collect();
        missing.sort();
        for ((stream, version), blob) in missing {
            findings.event(&stream, version, Wrong::BlobMissing { blob });
        }
    }
}
