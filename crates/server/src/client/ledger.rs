//! The ledger as its store has it: what is larger than a page is read page by page.

use antiphon::append::HeadRow;
use antiphon::digest::Digest;
use antiphon::envelope::Recorded;
use antiphon::id::{CommitNumber, Seq, StreamName, Version};
use antiphon::ledger::{HeadFilter, HeadQuery, Placed, PlacedCommit};
use hyper::StatusCode;
use serde::de::DeserializeOwned;

use super::Client;
use super::error::ClientError;
use crate::api::{CommitPage, EventPage, HeadPage, PlacedPage};
use crate::path::{LEDGER, segment};

/// Most that is asked for at once.
const PAGE: usize = 1_000;

impl Client {
    /// Head rows of the ledger, as [`Store::heads`](antiphon::ledger::Store::heads) gives them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ClientError> {
        let filter = match query {
            HeadQuery::Stream(stream) => {
                let query = format!("heads?stream={}", segment(&stream.to_string()));
                return self.head_page(&query).await.map(|(heads, _)| heads);
            }
            HeadQuery::List(filter) => filter,
        };
        let HeadFilter { prefix, status, ended, older_than, limit } = filter;
        let (mut found, mut before) = (Vec::new(), older_than.clone());
        while found.len() < *limit {
            let mut query = format!("heads?prefix={}", segment(prefix));
            for (name, value) in [
                ("status", status.clone()),
                ("ended", ended.map(|ended| ended.to_string())),
                ("older_than", before.as_ref().map(ToString::to_string)),
                ("limit", Some(PAGE.min(limit - found.len()).to_string())),
            ] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", segment(&value)));
                }
            }
            let (heads, more) = self.head_page(&query).await?;
            before = heads.last().map(|head| head.stream.clone());
            found.extend(heads);
            if !more {
                break;
            }
        }
        Ok(found)
    }

    async fn head_page(&self, query: &str) -> Result<(Vec<HeadRow>, bool), ClientError> {
        let page: HeadPage = self.link.get(&format!("{LEDGER}/{query}")).await?;
        let heads = page.heads.into_iter().map(|line| Ok(line.row()?));
        Ok((heads.collect::<Result<_, ClientError>>()?, page.more))
    }

    /// The events of a stream after a version, at most `limit`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stream_events(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ClientError> {
        let path = format!("events?stream={}&", segment(&stream.to_string()));
        self.pages(&path, after.0, limit, |page: EventPage| {
            let events = page.events.iter().map(|line| Ok(line.recorded()?));
            Ok((events.collect::<Result<_, ClientError>>()?, Some(page.after), page.more))
        })
        .await
    }

    /// The events of the whole ledger after an address, at most `limit`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ledger_events(
        &self,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Placed>, ClientError> {
        self.pages("events?", after.0, limit, |page: PlacedPage| {
            let events = page.events.iter().map(|line| Ok(line.placed()?));
            let last = page.events.last().map(|line| line.seq);
            Ok((events.collect::<Result<_, ClientError>>()?, last, page.more))
        })
        .await
    }

    /// The commits after a number, at most `limit`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn commits(
        &self,
        after: CommitNumber,
        limit: usize,
    ) -> Result<Vec<PlacedCommit>, ClientError> {
        self.pages("commits?", after.0, limit, |page: CommitPage| {
            let commits = page.commits.iter().map(|line| Ok(line.placed()?));
            let last = page.commits.last().map(|line| line.number);
            Ok((commits.collect::<Result<_, ClientError>>()?, last, page.more))
        })
        .await
    }

    /// Asks for page after page until there is no more, or enough. A page gives what is on it, how far
    /// it came, and whether more follows.
    async fn pages<P: DeserializeOwned, T>(
        &self,
        path: &str,
        after: u64,
        limit: usize,
        read: impl Fn(P) -> Result<(Vec<T>, Option<u64>, bool), ClientError>,
    ) -> Result<Vec<T>, ClientError> {
        let (mut found, mut after) = (Vec::new(), after);
        while found.len() < limit {
            let limit = PAGE.min(limit - found.len());
            let page =
                self.link.get(&format!("{LEDGER}/{path}after={after}&limit={limit}")).await?;
            let (read, last, more) = read(page)?;
            found.extend(read);
            match last {
                Some(last) if more => after = last,
                _ => break,
            }
        }
        Ok(found)
    }

    /// The bytes of a blob; `None` if there is none or it was erased.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ClientError> {
        let (head, bytes) = self.link.get_whole(&format!("{LEDGER}/blobs/{digest}")).await?;
        Ok((head.status != StatusCode::NO_CONTENT).then(|| bytes.into()))
    }
}
