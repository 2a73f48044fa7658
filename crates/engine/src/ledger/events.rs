//! One stream, event by event, forwards or backwards, so that none is ever in memory whole.

use std::ops::ControlFlow;

use antiphon_core::envelope::Recorded;
use antiphon_core::id::{StreamName, Version};

use super::error::ReadError;
use super::store::{HeadQuery, Store};

/// Events read at a time: enough that a query costs little beside its rows, and few enough that a
/// page of the largest events stays below a hundred megabytes.
pub(crate) const PAGE: usize = 1_000;

/// The events of a stream after a version, in order; read a page at a time, as they are asked for.
/// It ends where the stream ends at that moment, or with the first error.
#[derive(Debug)]
#[must_use = "nothing is read until it is iterated over"]
pub struct Events<'a, S: ?Sized> {
    store: &'a S,
    stream: StreamName,
    after: Version,
    page: std::vec::IntoIter<Recorded>,
    ended: bool,
}

impl<'a, S: Store + ?Sized> Events<'a, S> {
    /// Those after a version; 0 for all.
    pub fn after(store: &'a S, stream: StreamName, after: Version) -> Self {
        Self { store, stream, after, page: Vec::new().into_iter(), ended: false }
    }
}

impl<S: Store + ?Sized> Iterator for Events<'_, S> {
    type Item = Result<Recorded, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.ended {
            match self.store.read_stream(&self.stream, self.after, PAGE) {
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
        let event = self.page.next()?;
        self.after = event.version;
        Some(Ok(event))
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
