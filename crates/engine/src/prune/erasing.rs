//! What is asked of the decider, in portions that keep it free for others.

use antiphon_core::digest::Digest;
use antiphon_core::event::MAX_ERASED_AT_ONCE;
use antiphon_core::id::{CoordinationId, Version};
use antiphon_core::world::EraseRequest;

use super::Survey;

/// What the record says of why.
const REASON: &str = "pruned";

impl Survey {
    /// The erasures, in the order in which they are to be recorded: blobs no later than the payloads
    /// that name them, so that nothing is forgotten where it is cut off.
    pub(crate) fn into_erasures(self) -> impl Iterator<Item = EraseRequest> {
        self.runs.into_iter().flat_map(|tree| {
            let mut blobs: Vec<_> = tree.blobs.into_iter().collect();
            let mut requests = Vec::new();
            while blobs.len() > MAX_ERASED_AT_ONCE {
                let rest = blobs.split_off(MAX_ERASED_AT_ONCE);
                requests.push(erasure(None, std::mem::replace(&mut blobs, rest)));
            }
            for (id, mut versions) in tree.payloads {
                while !versions.is_empty() {
                    if versions.len() + blobs.len() > MAX_ERASED_AT_ONCE && !blobs.is_empty() {
                        requests.push(erasure(None, std::mem::take(&mut blobs)));
                    }
                    let room = versions.len().min(MAX_ERASED_AT_ONCE);
                    let rest = versions.split_off(room);
                    let now = std::mem::replace(&mut versions, rest);
                    requests.push(erasure(Some((id.clone(), now)), std::mem::take(&mut blobs)));
                }
            }
            requests
        })
    }
}

fn erasure(payloads: Option<(CoordinationId, Vec<Version>)>, blobs: Vec<Digest>) -> EraseRequest {
    EraseRequest { payloads, blobs, reason: REASON.to_owned() }
}
