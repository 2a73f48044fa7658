//! The head mark: a small file next to the database that knows how far the ledger has been
//! acknowledged.
//!
//! SQLite cannot tell a damaged end of its log from one that never was. The mark can, but for what
//! was appended after it was made.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use antiphon_core::digest::Digest;
use antiphon_core::envelope::CommitTip;
use antiphon_core::id::{CommitNumber, Epoch};

use super::durable;
use super::fault::Fault;
use super::owner::LedgerId;
use crate::folder::Folder;
use crate::outside::ReadError;

const FILE: &str = "head";
const TAG: &str = "antiphon.head.2";

/// More than any mark has.
const MAX_BYTES: u64 = 4096;

/// The tag of marks that do not name their ledger, as versions before wrote them.
const UNNAMED: &str = "antiphon.head.1";

/// What was durable when the mark was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct HeadMark {
    /// Whose mark it is; `None` in one of a version that did not say so.
    pub ledger: Option<LedgerId>,
    pub epoch: Epoch,
    pub commit: CommitTip,
}

/// Why a head mark was not read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum MarkError {
    /// The file is there, and is not what a mark looks like.
    #[error("the head mark {} is damaged", path.display())]
    Damaged { path: PathBuf },
    /// The file cannot be read.
    #[error("could not read the head mark {}: {error}", path.display())]
    Io {
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Why a ledger was refused for its head mark.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names of its variants say it")]
pub enum MarkRefusal {
    /// The ledger has lost its end.
    #[error(
        "the ledger ends at commit {} of epoch {ledger_epoch}, but its head mark knows commit {} of epoch {}: acknowledged work is missing; restore it from a copy, or accept the shorter ledger, which will be recorded", ledger.number, mark.commit.number, mark.epoch
    )]
    Shorter {
        /// The last commit that the ledger has.
        ledger: CommitTip,
        /// The epoch that the ledger has.
        ledger_epoch: Epoch,
        mark: Box<HeadMark>,
    },
    /// The ledger holds another commit where the mark was made.
    #[error(
        "commit {} of the ledger is not the one in its head mark: this is another ledger, or it was rewritten; restore it from a copy, or accept the ledger as it is, which will be recorded", mark.commit.number
    )]
    Differs {
        /// What the ledger has at the number of the mark.
        ledger: CommitTip,
        mark: Box<HeadMark>,
    },
    /// The mark is not of this ledger.
    #[error(
        "the head mark is that of ledger {theirs}, and this is ledger {ledger}: the files of two state directories were mixed; restore both from where they came, or accept the ledger as it is, which will be recorded"
    )]
    OtherLedger {
        /// Which ledger was found.
        ledger: LedgerId,
        /// Which one the mark names.
        theirs: LedgerId,
    },
    /// There is a ledger, but no head mark.
    #[error(
        "the ledger has {commits} commits but no head mark ({}): the file was removed, so it is unknown whether the ledger is complete; restore it, or accept the missing mark, which will be recorded", path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The last commit of the ledger.
        commits: CommitNumber,
    },
    /// The head mark cannot be read.
    #[error("{error}; restore the file, or accept the missing mark, which will be recorded")]
    Unreadable {
        #[from]
        error: MarkError,
    },
}

impl HeadMark {
    /// Where the mark of a state directory is.
    #[must_use]
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// Puts the mark in the place of the one before; it is durable when this returns.
    ///
    /// # Errors
    /// When the disk fails; the mark before is still there then.
    pub fn write(&self, dir: &Path) -> Result<(), Fault> {
        let folder = Folder::open(dir)
            .map_err(|error| Fault::io(format!("open {}", dir.display()), error))?;
        self.write_in(&folder)
    }

    /// The same for a directory that is held, whatever its path names by now.
    pub(super) fn write_in(&self, folder: &Folder) -> Result<(), Fault> {
        durable::replace(folder, FILE, self.to_string().as_bytes())
    }

    /// The mark in a directory that is held, if there is one.
    pub(super) fn read_in(folder: &Folder) -> Result<Option<Self>, MarkError> {
        let path = folder.shown_of(FILE);
        match folder.read(FILE, MAX_BYTES) {
            Ok(bytes) => Self::parsed(&bytes, path).map(Some),
            Err(error) if error.is_absent() => Ok(None),
            Err(ReadError::System(error)) => Err(MarkError::Io { path, error }),
            Err(_) => Err(MarkError::Damaged { path }),
        }
    }

    /// Reads the mark of a state directory, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn read(dir: &Path) -> Result<Option<Self>, MarkError> {
        let path = Self::path(dir);
        match std::fs::read(&path) {
            Ok(bytes) => Self::parsed(&bytes, path).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(MarkError::Io { path, error }),
        }
    }

    fn parsed(bytes: &[u8], path: PathBuf) -> Result<Self, MarkError> {
        let mark = str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        mark.ok_or(MarkError::Damaged { path })
    }

    /// Whether a ledger that ends at `tip` under `epoch`, and has the commit `at_mark` at the
    /// number of this mark, holds all that the mark knew. Which ledger it is may be unknown, as
    /// where its database is missing.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(
        &self,
        ledger: Option<LedgerId>,
        epoch: Epoch,
        tip: CommitTip,
        at_mark: Option<CommitTip>,
    ) -> Result<(), MarkRefusal> {
        if let (Some(ledger), Some(theirs)) = (ledger, self.ledger)
            && ledger != theirs
        {
            return Err(MarkRefusal::OtherLedger { ledger, theirs });
        }
        match at_mark {
            _ if tip.number < self.commit.number || epoch < self.epoch => {
                Err(MarkRefusal::Shorter {
                    ledger: tip,
                    ledger_epoch: epoch,
                    mark: Box::new(*self),
                })
            }
            Some(ledger) if ledger != self.commit => {
                Err(MarkRefusal::Differs { ledger, mark: Box::new(*self) })
            }
            None if self.commit != CommitTip::default() => Err(MarkRefusal::Shorter {
                ledger: tip,
                ledger_epoch: epoch,
                mark: Box::new(*self),
            }),
            _ => Ok(()),
        }
    }

    fn covered(&self) -> String {
        let name = match &self.ledger {
            Some(ledger) => format!("{TAG} {ledger}"),
            None => UNNAMED.to_owned(),
        };
        format!("{name} {} {} {}", self.epoch, self.commit.number, self.commit.hash)
    }
}

impl fmt::Display for HeadMark {
    /// One line: tag, ledger, epoch, commit, its hash, and the SHA-256 of all before the last
    /// space. Without its ledger it has the tag and the fields of versions before.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covered = self.covered();
        let checksum = Digest::of(covered.as_bytes());
        writeln!(f, "{covered} {checksum}")
    }
}

impl FromStr for HeadMark {
    type Err = ();

    /// Accepts only what `Display` writes, byte for byte.
    fn from_str(text: &str) -> Result<Self, ()> {
        let fields: Vec<&str> = text.split([' ', '\n']).collect();
        let (ledger, epoch, number, hash) = match *fields.as_slice() {
            [TAG, ledger, epoch, number, hash, _, ""] => (Some(ledger), epoch, number, hash),
            [UNNAMED, epoch, number, hash, _, ""] => (None, epoch, number, hash),
            _ => return Err(()),
        };
        let named = |text: &str| text.parse().map(|id: Digest| LedgerId(id.0)).map_err(|_| ());
        let mark = Self {
            ledger: ledger.map(named).transpose()?,
            epoch: Epoch(epoch.parse().map_err(|_| ())?),
            commit: CommitTip {
                number: CommitNumber(number.parse().map_err(|_| ())?),
                hash: hash.parse().map_err(|_| ())?,
            },
        };
        if mark.to_string() == text { Ok(mark) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> HeadMark {
        HeadMark {
            ledger: Some(LedgerId(Digest::of(b"ledger").0)),
            epoch: Epoch(3),
            commit: CommitTip { number: CommitNumber(42), hash: Digest::of(b"commit") },
        }
    }

    #[test]
    fn marks_read_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        assert!(HeadMark::read(dir.path()).unwrap().is_none());
        mark().write(dir.path()).unwrap();
        assert_eq!(HeadMark::read(dir.path()).unwrap(), Some(mark()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_mark_of_before_which_names_no_ledger_is_read_and_written_as_it_was() {
        let unnamed = HeadMark { ledger: None, ..mark() };
        let text = unnamed.to_string();
        assert!(text.starts_with("antiphon.head.1 3 42 "), "{text}");
        assert_eq!(text.parse(), Ok(unnamed));
        let (any, tip) = (Some(LedgerId([7; 32])), unnamed.commit);
        assert!(unnamed.check(any, Epoch(3), tip, Some(tip)).is_ok());
    }

    #[test]
    fn every_flipped_bit_of_a_mark_is_found() {
        for mark in [mark(), HeadMark { ledger: None, ..mark() }] {
            every_flipped_bit_is_found(mark);
        }
    }

    fn every_flipped_bit_is_found(mark: HeadMark) {
        let sound = mark.to_string().into_bytes();
        for bit in 0..sound.len() * 8 {
            let mut flipped = sound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = str::from_utf8(&flipped).ok().and_then(|text| text.parse::<HeadMark>().ok());
            assert_eq!(read, None, "bit {bit}");
        }
        assert!("".parse::<HeadMark>().is_err());
    }

    #[test]
    fn a_ledger_is_held_against_name_number_hash_and_epoch() {
        let mark = mark();
        let ours = mark.ledger;
        let (other, at) = (Some(LedgerId([7; 32])), mark.commit);
        assert!(matches!(
            mark.check(other, Epoch(3), at, Some(at)),
            Err(MarkRefusal::OtherLedger { .. })
        ));
        assert!(mark.check(None, Epoch(3), at, Some(at)).is_ok());
        let tip = |number, text: &str| CommitTip {
            number: CommitNumber(number),
            hash: Digest::of(text.as_bytes()),
        };
        let here = Some(mark.commit);
        assert!(mark.check(ours, Epoch(3), tip(42, "commit"), here).is_ok());
        assert!(mark.check(ours, Epoch(4), tip(50, "later"), here).is_ok());
        assert!(matches!(
            mark.check(ours, Epoch(3), tip(41, "earlier"), None),
            Err(MarkRefusal::Shorter { .. })
        ));
        assert!(matches!(
            mark.check(ours, Epoch(2), tip(42, "commit"), here),
            Err(MarkRefusal::Shorter { .. })
        ));
        assert!(matches!(
            mark.check(ours, Epoch(3), tip(50, "later"), Some(tip(42, "other"))),
            Err(MarkRefusal::Differs { .. })
        ));
    }
}
