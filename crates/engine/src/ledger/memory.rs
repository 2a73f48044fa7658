//! The ledger in memory: the same behaviour without a disk, for tests and for work that nobody
//! needs afterwards.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use antiphon_core::append::{Append, HeadRow};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::{CommitTip, Payload, Recorded};
use antiphon_core::id::{CommitNumber, Epoch, Seq, StreamName, Version};
use antiphon_core::time::LedgerTime;

use super::admission::{self, Admitted, Known};
use super::directory::{Lock, StateDirectory};
use super::error::FORMAT;
use super::error::{AppendError, OpenError, ReadError, Refusal, WriteError};
use super::held_directory::HeldDirectory;
use super::owner::LockHolder;
use super::owner::{LedgerId, Owner};
use super::store::{
    Cursor, Damage, HeadFilter, HeadQuery, MarkFinding, Opened, Placed, PlacedCommit, Snapshot,
    Store,
};
use crate::locked::locked;

/// What a memory store keeps, shared by all that open it: it outlives its owners as a directory
/// does.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    id: Option<LedgerId>,
    epoch: Epoch,
    owner: Option<Owner>,
    // Streams in the order of their first event; a key is an index.
    heads: Vec<HeadRow>,
    keys: HashMap<StreamName, usize>,
    // For every stream, where its events are in `events`.
    versions: Vec<Vec<usize>>,
    events: Vec<Recorded>,
    commits: Vec<PlacedCommit>,
    blobs: HashMap<Digest, Vec<u8>>,
    cursors: HashMap<String, Cursor>,
    snapshots: BTreeMap<StreamName, Snapshot>,
}

/// One engine's access to a [`MemoryLedger`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    ledger: MemoryLedger,
    epoch: Mutex<Option<Epoch>>,
    /// Where its engine works, if that needs a directory.
    directory: Option<StateDirectory>,
    held: Mutex<Option<(Lock, HeldDirectory)>>,
}

impl MemoryLedger {
    /// Forgets who owns it, as if that engine's machine were gone: the next may open it, and the
    /// one before is superseded then.
    pub fn disown(&self) {
        locked(&self.0).owner = None;
    }
}

impl MemoryStore {
    /// Access to a ledger that others may have, too.
    #[must_use]
    pub fn over(ledger: &MemoryLedger) -> Self {
        Self {
            ledger: ledger.clone(),
            epoch: Mutex::default(),
            directory: None,
            held: Mutex::default(),
        }
    }

    /// A ledger of its own, whose engine works in a directory: nothing of the ledger is in there.
    pub(super) fn in_directory(directory: StateDirectory) -> Self {
        Self {
            ledger: MemoryLedger::default(),
            epoch: Mutex::default(),
            directory: Some(directory),
            held: Mutex::default(),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        locked(&self.ledger.0)
    }

    /// The content, if it is still ours to change.
    fn owned(&self) -> Result<MutexGuard<'_, Content>, Refusal> {
        let ours = locked(&self.epoch).ok_or(Refusal::NotOpen)?;
        let content = self.content();
        if content.epoch == ours {
            Ok(content)
        } else {
            Err(Refusal::Superseded { ours, theirs: content.epoch })
        }
    }
}

impl Drop for MemoryStore {
    /// Lets go of the ledger, as the system does with a lock.
    fn drop(&mut self) {
        let ours = locked(&self.epoch).take();
        let mut content = self.content();
        if ours == Some(content.epoch) {
            content.owner = None;
        }
    }
}

impl Store for MemoryStore {
    fn open(&self, owner: &Owner) -> Result<Opened, OpenError> {
        let mut epoch = locked(&self.epoch);
        if epoch.is_some() {
            return Err(OpenError::AlreadyOpen);
        }
        let mut content = self.content();
        if let Some(holder) = &content.owner {
            return Err(OpenError::InUse {
                dir: "memory".into(),
                holder: LockHolder::Named(holder.clone()),
            });
        }
        let directory = self.directory.as_ref();
        *locked(&self.held) = directory.map(|dir| dir.take_for_memory(owner)).transpose()?;
        content.owner = Some(owner.clone());
        content.epoch = content.epoch.next();
        *epoch = Some(content.epoch);
        let id = *content.id.get_or_insert_with(random_id);
        Ok(Opened {
            ledger: id,
            format: FORMAT,
            epoch: content.epoch,
            commits: content.tip(),
            ledger_stream: content
                .known(&StreamName::Ledger)
                .map(|known| known.tip)
                .unwrap_or_default(),
            at: content.events.last().map_or(LedgerTime(0), |event| event.at),
            seq: Seq(content.events.len() as u64),
            mark: MarkFinding::Agrees,
            needs_verification: false,
        })
    }

    fn waits(&self) -> bool {
        false
    }

    fn append(&self, append: &Append, cursors: &[Cursor]) -> Result<Seq, AppendError> {
        let mut content = self.owned()?;
        admission::check_bounds(append)?;
        admission::check_cursors(cursors)?;
        let admitted = admission::admit(append, content.epoch, content.tip(), |stream| {
            Ok::<_, Refusal>(content.known(stream))
        })?;
        for (stream, versions) in admission::payload_erasures(append) {
            let after = admitted.streams.iter().find(|touched| touched.head.stream == *stream);
            let known = match (after, content.known(stream)) {
                (Some(after), Some(known)) => Some(known.after(after)),
                (_, known) => known,
            };
            admission::admit_erasure(stream, versions, known)?;
        }
        let first = Seq(content.events.len() as u64 + 1);
        content.write(first, append, &admitted);
        content.erase(append);
        content.set_cursors(cursors);
        Ok(first)
    }

    fn move_cursors(&self, cursors: &[Cursor]) -> Result<(), AppendError> {
        let mut content = self.owned()?;
        admission::check_cursors(cursors)?;
        content.set_cursors(cursors);
        Ok(())
    }

    fn read_stream(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let content = self.content();
        let Some(&key) = content.keys.get(stream) else {
            return Ok(Vec::new());
        };
        let events = content.versions[key].iter().skip(position(after.0)).take(limit);
        Ok(events.map(|&index| content.events[index].clone()).collect())
    }

    fn read_all(&self, after: Seq, limit: usize) -> Result<Vec<Placed>, ReadError> {
        let content = self.content();
        let place = |(event, seq): (&Recorded, u64)| {
            let commit = content.commits.partition_point(|commit| commit.first.0 <= seq);
            Placed { seq: Seq(seq), commit: CommitNumber(commit as u64), event: event.clone() }
        };
        Ok(content.events.iter().zip(1..).skip(position(after.0)).take(limit).map(place).collect())
    }

    fn commits(&self, after: CommitNumber, limit: usize) -> Result<Vec<PlacedCommit>, ReadError> {
        Ok(self.content().commits.iter().skip(position(after.0)).take(limit).copied().collect())
    }

    fn heads(&self, query: &HeadQuery) -> Result<Vec<HeadRow>, ReadError> {
        let content = self.content();
        let HeadFilter { prefix, status, ended, older_than, limit } = match query {
            HeadQuery::Stream(stream) => {
                return Ok(content
                    .keys
                    .get(stream)
                    .map(|&key| content.heads[key].clone())
                    .into_iter()
                    .collect());
            }
            HeadQuery::List(filter) => filter,
        };
        let before = match older_than {
            None => content.heads.len(),
            Some(stream) => content.keys.get(stream).copied().unwrap_or(0),
        };
        let wanted = |head: &&HeadRow| {
            head.stream.to_string().starts_with(prefix)
                && status.as_ref().is_none_or(|status| *status == head.status)
                && ended.is_none_or(|ended| ended == head.ended)
        };
        Ok(content.heads[..before].iter().rev().filter(wanted).take(*limit).cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.content().blobs.get(digest).cloned())
    }

    fn size(&self) -> Result<u64, ReadError> {
        let content = self.content();
        let payloads = content.events.iter().filter_map(|event| event.payload.bytes());
        let kept = payloads.map(<[u8]>::len).chain(content.blobs.values().map(Vec::len));
        Ok(kept.map(|bytes| bytes as u64).sum())
    }

    fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), WriteError> {
        let mut content = self.owned()?;
        for snapshot in snapshots {
            let key = content.keys.get(&snapshot.stream);
            if key.is_some_and(|&key| !content.heads[key].ended) {
                content.snapshots.insert(snapshot.stream.clone(), snapshot.clone());
            }
        }
        Ok(())
    }

    fn load_snapshot(
        &self,
        stream: &StreamName,
        format: &str,
    ) -> Result<Option<Snapshot>, ReadError> {
        Ok(self
            .content()
            .snapshots
            .get(stream)
            .filter(|snapshot| snapshot.format == format)
            .cloned())
    }

    fn cursor(&self, name: &str) -> Result<Option<Cursor>, ReadError> {
        Ok(self.content().cursors.get(name).cloned())
    }

    fn unmoved_cursors(&self, prefix: &str) -> Result<Vec<Cursor>, ReadError> {
        let content = self.content();
        let unmoved = content
            .cursors
            .values()
            .filter(|cursor| cursor.version == Version(0) && cursor.name.starts_with(prefix));
        let mut unmoved: Vec<Cursor> = unmoved.cloned().collect();
        unmoved.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(unmoved)
    }

    fn damages(&self) -> Result<Vec<Damage>, ReadError> {
        Ok(Vec::new())
    }

    fn mark_head(&self) -> Result<(), WriteError> {
        Ok(self.owned().map(drop)?)
    }

    fn held(&self) -> Option<HeldDirectory> {
        locked(&self.held).as_ref().map(|(_, held)| held.clone())
    }

    fn declare_verified(&self) -> Result<(), WriteError> {
        Ok(self.owned().map(drop)?)
    }

    fn close(&self) -> Result<(), WriteError> {
        drop(locked(&self.held).take());
        let Some(ours) = locked(&self.epoch).take() else {
            return Ok(());
        };
        let mut content = self.content();
        if content.epoch != ours {
            return Err(Refusal::Superseded { ours, theirs: content.epoch }.into());
        }
        content.owner = None;
        Ok(())
    }
}

impl Content {
    fn tip(&self) -> CommitTip {
        self.commits.last().map(|placed| placed.commit.tip()).unwrap_or_default()
    }

    fn known(&self, stream: &StreamName) -> Option<Known> {
        let &key = self.keys.get(stream)?;
        let head = &self.heads[key];
        Some(Known::new(i64::try_from(key).ok()?, head.tip, head.ended))
    }

    fn write(&mut self, first: Seq, append: &Append, admitted: &Admitted<'_>) {
        let mut keys = Vec::with_capacity(admitted.streams.len());
        for touched in &admitted.streams {
            let head = touched.head.clone();
            let next = self.heads.len();
            let key = *self.keys.entry(head.stream.clone()).or_insert(next);
            if key == next {
                self.heads.push(head);
                self.versions.push(Vec::new());
            } else {
                self.heads[key] = head;
            }
            keys.push(key);
        }
        for (event, &of) in append.events.iter().zip(&admitted.of_event) {
            self.versions[keys[of as usize]].push(self.events.len());
            self.events.push(event.clone());
        }
        for blob in &append.blobs {
            self.blobs.entry(blob.digest).or_insert_with(|| blob.bytes.clone());
        }
        self.commits.push(PlacedCommit { first, commit: append.commit });
    }

    fn erase(&mut self, append: &Append) {
        for (stream, versions) in admission::payload_erasures(append) {
            let Some(&key) = self.keys.get(stream) else {
                continue;
            };
            for version in versions {
                let event = &mut self.events[self.versions[key][position(version.0) - 1]];
                event.payload = Payload::Erased(event.payload.digest());
            }
            self.snapshots.remove(stream);
        }
        for digest in admission::blob_erasures(append) {
            self.blobs.remove(digest);
        }
    }

    fn set_cursors(&mut self, cursors: &[Cursor]) {
        for cursor in cursors {
            self.cursors.insert(cursor.name.clone(), cursor.clone());
        }
    }
}

fn position(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn random_id() -> LedgerId {
    let mut bytes = Vec::with_capacity(32);
    for _ in 0..2 {
        bytes.extend_from_slice(uuid::Uuid::now_v7().as_bytes());
    }
    LedgerId(Digest::of(&bytes).0)
}
