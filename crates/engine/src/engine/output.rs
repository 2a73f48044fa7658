//! What an item has put out, found in its stream.

use std::collections::BTreeMap;

use antiphon_core::id::CoordinationId;

use crate::items::{LastEnd, last_end};
use crate::mailbox::{Handle, QueryError};
use crate::session::Output;

impl Handle {
    /// What an item's last session put out, found in the stream; of an item that was taken over, in
    /// the stream of the run that carried it out.
    pub(crate) async fn output(
        &self,
        id: &CoordinationId,
        work: &str,
    ) -> Result<Option<Output>, QueryError> {
        self.require(id).await?;
        let (id, work) = (id.clone(), work.to_owned());
        let found = self.read(move |store| last_end(store, id, work)).await?;
        let Some(found) = found else { return Ok(None) };
        let (digest, session) = match found {
            LastEnd::Session(unbound) => (unbound.output, Some(unbound)),
            LastEnd::TakenOver(reused) => (reused.output, None),
        };
        let bytes = match digest {
            Some(digest) => self.blob(digest).await?,
            None => None,
        };
        let Some(unbound) = session else {
            return Ok(
                bytes.map(|bytes| Output::recorded(Some(bytes), None, None, BTreeMap::new()))
            );
        };
        let output = Output::recorded(bytes, unbound.text, None, unbound.scores);
        Ok(Some(output.with_tree(unbound.tree, Vec::new())))
    }
}
