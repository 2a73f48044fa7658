//! The items of a run: what each runs, how it did, its value, and what it printed.

use std::sync::Arc;

use super::{PrintedStream, Run};
use crate::items::{
    ItemDetails, ItemError, Printed, PrintedQuery, PrintedReader, PrintedTo, RunItems, Value,
};
use crate::ledger::Store;

impl Run {
    /// Its items with what became of each so far.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run, or the ledger cannot be read.
    pub async fn items(&self) -> Result<Arc<RunItems>, ItemError> {
        let (id, last) = (self.id.clone(), Arc::clone(&self.last_read));
        self.handle.read(move |store| Ok(last.of(store, &id))).await?
    }

    /// One item with everything that is known of it.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run or item, or the ledger cannot be read.
    pub async fn item(&self, item: impl Into<String>) -> Result<ItemDetails, ItemError> {
        let (id, item) = (self.id.clone(), item.into());
        let last = Arc::clone(&self.last_read);
        let read = move |store: &dyn Store| {
            Ok(last.of(store, &id).and_then(|items| ItemDetails::of(store, &items, &item)))
        };
        self.handle.read(read).await?
    }

    /// The value that an item puts out: what its last session put out, else what it printed to
    /// standard output.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run or item, it has no value or none yet, or the ledger
    /// cannot be read.
    pub async fn value(&self, item: impl Into<String>) -> Result<Value, ItemError> {
        let (id, item) = (self.id.clone(), item.into());
        self.handle.read(move |store| Ok(Value::read(store, &id, &item))).await?
    }

    /// What a session of an item printed so far.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run, item or session, or it cannot be read.
    pub async fn printed(
        &self,
        item: impl Into<String>,
        query: PrintedQuery,
    ) -> Result<Printed, ItemError> {
        let (id, item) = (self.id.clone(), item.into());
        let read = self.handle.read(move |store| {
            let held = store.held();
            let state = held.as_ref().map(|held| held.folder());
            Ok(Printed::read_in(store, state, &id, &item, query))
        });
        read.await?
    }

    /// What its sessions print, piece by piece: of one item from its last session on, or of one
    /// session of it, or of all items. It ends with what is there, or where it is to follow, once
    /// nothing more can come.
    ///
    /// # Errors
    /// [`ItemError`] if there is no such run, item or session, or the ledger cannot be read.
    pub async fn printing(
        &self,
        item: Option<String>,
        query: PrintedQuery,
        wanted: Vec<PrintedTo>,
        follow: bool,
    ) -> Result<PrintedStream, ItemError> {
        self.handle.require(&self.id).await?;
        let id = self.id.clone();
        let read = self.handle.read(move |store| {
            let state = store.held().map(|held| held.folder().clone());
            let reader = PrintedReader::new(id, state).only(wanted);
            Ok(match item {
                Some(item) => reader.narrowed(store, &item, query, follow),
                None => Ok(reader),
            })
        });
        let reader = read.await??;
        let events = self.follow_after(reader.after()).await?;
        Ok(PrintedStream::new(self.handle.clone(), self.id.clone(), reader, events, follow))
    }
}
