//! What a power cut leaves: all that was synced, and whichever later writes happened to reach the
//! platter.

use antiphon::random::Random;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::journal::{Inode, Op};

/// The unit that a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// Which of the requests that no sync covers have survived.
#[derive(Debug, Clone)]
pub(crate) enum Survival {
    /// All of them: what a killed process leaves, as the kernel goes on.
    Everything,
    /// None: the disk had a cache and lost it.
    SyncedOnly,
    /// A seeded subset, another share for every file, torn at sector borders.
    Subset(Random),
}

/// The files of a directory after a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Image {
    /// The image that `journal` leaves, cut off after its last entry.
    pub(crate) fn after(journal: &[Op], mut survival: Survival) -> Self {
        let durable = durable(journal);
        let mut names: BTreeMap<&Path, Inode> = BTreeMap::new();
        let mut contents: HashMap<Inode, Vec<u8>> = HashMap::new();
        let mut shares: HashMap<Inode, u64> = HashMap::new();
        for (op, durable) in journal.iter().zip(durable) {
            match op {
                Op::Found { inode, path, bytes } => {
                    names.insert(path, *inode);
                    contents.insert(*inode, bytes.clone());
                }
                Op::Create { inode, path } => {
                    contents.insert(*inode, Vec::new());
                    if durable || survival.keeps_name() {
                        names.insert(path, *inode);
                    }
                }
                Op::Write { inode, offset, bytes } => {
                    let content = contents.entry(*inode).or_default();
                    if durable {
                        put(content, *offset, bytes);
                    } else {
                        let share = survival.share(&mut shares, *inode);
                        survival.put_some(content, *offset, bytes, share);
                    }
                }
                Op::Truncate { inode, size } => {
                    let share = survival.share(&mut shares, *inode);
                    if durable || survival.keeps(share) {
                        contents.entry(*inode).or_default().resize(as_index(*size), 0);
                    }
                }
                Op::Delete { path, .. } => {
                    if durable || survival.keeps_name() {
                        names.remove(path.as_path());
                    }
                }
                Op::Sync { .. } | Op::SyncFailed { .. } => {}
            }
        }
        let files = names
            .into_iter()
            .map(|(path, inode)| {
                (path.to_path_buf(), contents.get(&inode).cloned().unwrap_or_default())
            })
            .collect();
        Self { files }
    }

    /// The content of the file that had this path.
    pub(crate) fn file(&self, path: &Path) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Writes the files by their names into `directory`, where any SQLite can open them.
    pub(crate) fn write_into(&self, directory: &Path) {
        for (path, bytes) in &self.files {
            let name = path.file_name().expect("a recorded file has a name");
            fs::write(directory.join(name), bytes).expect("write a file of the image");
        }
    }
}

impl Survival {
    /// How many of a hundred unsynced writes of this file survive; the extremes are frequent, as
    /// they are in life, and differing shares are what reorders writes across files.
    fn share(&mut self, shares: &mut HashMap<Inode, u64>, inode: Inode) -> u64 {
        match self {
            Self::Everything => 100,
            Self::SyncedOnly => 0,
            Self::Subset(random) => *shares
                .entry(inode)
                .or_insert_with(|| [0, 10, 50, 90, 100][as_index(random.below(5))]),
        }
    }

    fn keeps(&mut self, share: u64) -> bool {
        match self {
            Self::Everything => true,
            Self::SyncedOnly => false,
            Self::Subset(random) => random.chance(share),
        }
    }

    fn keeps_name(&mut self) -> bool {
        self.keeps(50)
    }

    fn put_some(&mut self, content: &mut Vec<u8>, offset: u64, bytes: &[u8], share: u64) {
        let torn = match self {
            Self::Everything | Self::SyncedOnly => false,
            Self::Subset(random) => random.chance(25),
        };
        if !torn {
            if self.keeps(share) {
                put(content, offset, bytes);
            }
            return;
        }
        let mut from = offset;
        let end = offset + bytes.len() as u64;
        while from < end {
            let to = end.min((from / SECTOR_BYTES + 1) * SECTOR_BYTES);
            if self.keeps(50) {
                put(content, from, &bytes[as_index(from - offset)..as_index(to - offset)]);
            } else if self.keeps(25) && content.len() < as_index(to) {
                // The file's new length reached the disk, the bytes did not.
                content.resize(as_index(to), 0);
            }
            from = to;
        }
    }
}

/// For every entry whether a later sync made it durable.
fn durable(journal: &[Op]) -> Vec<bool> {
    let mut synced: BTreeSet<Inode> = BTreeSet::new();
    let mut names_synced = false;
    let mut durable = vec![false; journal.len()];
    for (op, durable) in journal.iter().zip(&mut durable).rev() {
        match op {
            Op::Found { .. } => *durable = true,
            Op::Create { .. } => *durable = names_synced,
            Op::Write { inode, .. } | Op::Truncate { inode, .. } => {
                *durable = synced.contains(inode);
            }
            Op::Sync { inode, directory } => {
                synced.insert(*inode);
                names_synced |= directory;
            }
            Op::SyncFailed { inode } => {
                synced.remove(inode);
            }
            Op::Delete { directory, .. } => {
                names_synced |= directory;
                *durable = names_synced;
            }
        }
    }
    durable
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (as_index(offset), as_index(offset) + bytes.len());
    if content.len() < to {
        content.resize(to, 0);
    }
    content[from..to].copy_from_slice(bytes);
}

fn as_index(number: u64) -> usize {
    usize::try_from(number).expect("a file of a test fits into memory")
}
