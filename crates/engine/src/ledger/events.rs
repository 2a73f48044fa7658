//! One stream, event by event.

use antiphon_core::envelope::Recorded;
use antiphon_core::id::{StreamName, Version};

use super::{ReadError, Store};

/// Events read at a time.
const PAGE: usize = 1_000;

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
