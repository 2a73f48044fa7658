//! A stream or the whole ledger, event by event, so that neither is ever in memory whole.

use std::ops::ControlFlow;

use antiphon_core::envelope::Recorded;
use antiphon_core::id::{Seq, StreamName, Version};

use super::error::ReadError;
use super::store::{HeadQuery, Placed, Store};

/// Events read at a time: enough that a query costs little compared with its rows, and few enough
/// that a page of the largest events stays below a hundred megabytes.
pub(crate) const PAGE: usize = 1_000;

/// The events of a stream after a version, in order; read a page at a time, as they are asked for.
/// It ends where the stream ends at that moment, or with the first error.
#[derive(Debug)]
#[must_use = "nothing is read until it is iterated over"]
pub struct Events<'a, S: ?Sized> {
    store: &'a S,
    stream: StreamName,
    after: Version,
    pages: Pages<Recorded>,
}

impl<'a, S: Store + ?Sized> Events<'a, S> {
    /// Those after a version; 0 for all.
    pub fn after(store: &'a S, stream: StreamName, after: Version) -> Self {
        Self { store, stream, after, pages: Pages::unread() }
    }
}

impl<S: Store + ?Sized> Iterator for Events<'_, S> {
    type Item = Result<Recorded, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.pages.next(|| self.store.read_stream(&self.stream, self.after, PAGE))?;
        Some(next.inspect(|event| self.after = event.version))
    }
}

/// The events of all streams after an address, in the order of the ledger; read a page at a time,
/// as they are asked for. It ends where the ledger ends at that moment, or with the first error.
#[derive(Debug)]
#[must_use = "nothing is read until it is iterated over"]
pub struct AllEvents<'a, S: ?Sized> {
    store: &'a S,
    after: Seq,
    pages: Pages<Placed>,
}

impl<'a, S: Store + ?Sized> AllEvents<'a, S> {
    /// Those after an address; 0 for all.
    pub fn after(store: &'a S, after: Seq) -> Self {
        Self { store, after, pages: Pages::unread() }
    }
}

impl<S: Store + ?Sized> Iterator for AllEvents<'_, S> {
    type Item = Result<Placed, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.pages.next(|| self.store.read_all(self.after, PAGE))?;
        Some(next.inspect(|placed| self.after = placed.seq))
    }
}

/// What is left of the page that was read last.
#[derive(Debug)]
struct Pages<T> {
    page: std::vec::IntoIter<T>,
    ended: bool,
}

impl<T> Pages<T> {
    fn unread() -> Self {
        Self { page: Vec::new().into_iter(), ended: false }
    }

    /// The next of the page, or the first of the next one; an empty page or an error is the end.
    fn next(
        &mut self,
        read: impl FnOnce() -> Result<Vec<T>, ReadError>,
    ) -> Option<Result<T, ReadError>> {
        if self.page.len() == 0 && !self.ended {
            match read() {
                Ok(page) => {
                    self.ended = page.is_empty();
                    self.page = page.into_iter();
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.next().map(Ok)
    }
}

/// Looks at the events of a stream, the last one first, until something is found.
pub(crate) fn backwards<T>(
    store: &dyn Store,
    stream: &StreamName,
    mut look: impl FnMut(&Recorded) -> ControlFlow<T>,
) -> Result<Option<T>, ReadError> {
    let head = store.heads(&HeadQuery::Stream(stream.clone()))?.into_iter().next();
    let mut before = head.map_or(Version(0), |head| head.tip.version).next();
    while before > Version(1) {
        let after = Version((before.0 - 1).saturating_sub(PAGE as u64));
        let page = store.read_stream(stream, after, PAGE)?;
        for recorded in page.iter().rev().filter(|recorded| recorded.version < before) {
            if let ControlFlow::Break(found) = look(recorded) {
                return Ok(Some(found));
            }
        }
        before = after.next();
    }
    Ok(None)
}
