//! Files that are there whole or not at all, and stay there when the power goes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::fault::Fault;
use crate::hand_over;

/// Puts bytes in the place of a file, or makes a new one: written next to it, synced, renamed, and
/// the directory synced.
///
/// The temporary name ends in `.tmp`; one that a crash left behind is overwritten by the next write
/// or ignored.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let temporary = path.with_extension("tmp");
    let mut file = hand_over::create_file_anew(&temporary)
        .map_err(|error| Fault::io(format!("create {}", temporary.display()), error))?;
    file.write_all(bytes)
        .map_err(|error| Fault::io(format!("write {}", temporary.display()), error))?;
    file.sync_all().map_err(|error| Fault::sync(format!("sync {}", temporary.display()), error))?;
    std::fs::rename(&temporary, path)
        .map_err(|error| Fault::io(format!("put {} in place", path.display()), error))?;
    match path.parent() {
        Some(dir) => sync_directory(dir),
        None => Ok(()),
    }
}

/// Creates a private file without content, in the place of whatever file is there.
pub(super) fn create_empty(path: &Path) -> Result<(), Fault> {
    hand_over::create_file_anew(path)
        .map(drop)
        .map_err(|error| Fault::io(format!("create {}", path.display()), error))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(dir: &Path) -> Result<(), Fault> {
    // Where it cannot be opened, nothing was synced, and no sync has failed.
    File::open(dir)
        .map_err(|error| Fault::io(format!("open the directory {}", dir.display()), error))?
        .sync_all()
        .map_err(|error| Fault::sync(format!("sync the directory {}", dir.display()), error))
}
