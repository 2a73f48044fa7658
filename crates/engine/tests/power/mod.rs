//! A disk under SQLite that can lose power: real files, with every write, truncate, sync and delete
//! on record. What a power cut may leave is rebuilt from that record; full disks and failing syncs
//! are armed by number.

mod disk;
mod image;
mod journal;
mod ledger;
mod locks;
mod syncs;
mod turns;
mod vfs;

pub(crate) use disk::{Fault, FileKind, new_directory};
pub(crate) use image::{Image, Survival};
pub(crate) use vfs::PowerDisk;
