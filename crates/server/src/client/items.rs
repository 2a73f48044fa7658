//! Items of a run: pages of them, one with its details, and the value that it puts out.

use antiphon::id::CoordinationId;

use super::Client;
use super::error::ClientError;
use crate::api::{Item, ItemPage, ItemQuery};
use crate::path::{run_path, segment};

/// The value that an item puts out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct ItemValue {
    /// `output`, or `stdout` where the item has put out nothing else.
    pub source: String,
    pub bytes: Vec<u8>,
}

impl Client {
    /// A page of the items of a run, in the order of addition.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn items(
        &self,
        id: &CoordinationId,
        query: &ItemQuery,
    ) -> Result<ItemPage, ClientError> {
        let ItemQuery { state, group, limit, cursor } = query;
        let mut parameters = Vec::new();
        parameters.extend(state.as_ref().map(|state| format!("state={}", segment(state))));
        parameters.extend(group.as_ref().map(|group| format!("group={}", segment(group))));
        parameters.extend(limit.map(|limit| format!("limit={limit}")));
        parameters.extend(cursor.as_ref().map(|cursor| format!("cursor={}", segment(cursor))));
        let rest = format!("/items?{}", parameters.join("&"));
        self.link.get(&run_path(id.as_str(), &rest)).await
    }

    /// An item with everything that is known of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn item(&self, id: &CoordinationId, item: &str) -> Result<Item, ClientError> {
        let rest = format!("/items/{}", segment(item));
        self.link.get(&run_path(id.as_str(), &rest)).await
    }

    /// The value that an item puts out.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn output(&self, id: &CoordinationId, item: &str) -> Result<ItemValue, ClientError> {
        let rest = format!("/items/{}/output", segment(item));
        let (head, bytes) = self.link.get_whole(&run_path(id.as_str(), &rest)).await?;
        let source = head.headers.get("antiphon-value");
        let source = source.and_then(|value| value.to_str().ok()).unwrap_or("output").to_owned();
        Ok(ItemValue { source, bytes: bytes.into() })
    }
}
