//! Items of a run: pages of them, one with its details, and the value that it puts out.

use antiphon::id::CoordinationId;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Bytes;

use super::error::ClientError;
use super::{Client, exchange};
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
        let request = exchange::head(Method::GET, &run_path(id.as_str(), &rest));
        let response = self.link.send(request, Bytes::new()).await?;
        let source = response.headers().get("antiphon-value");
        let source = source.and_then(|value| value.to_str().ok()).unwrap_or("output").to_owned();
        let broken = |error: hyper::Error| ClientError::Broken(error.to_string());
        let bytes = response.into_body().collect().await.map_err(broken)?.to_bytes().into();
        Ok(ItemValue { source, bytes })
    }
}
