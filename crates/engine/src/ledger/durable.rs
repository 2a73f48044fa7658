//! Files that are there whole or not at all, and stay there when the power goes.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::fault::Fault;
use crate::folder::Folder;

/// Puts bytes in the place of a file in a folder, or makes a new one: written next to it, synced,
/// renamed, and the folder synced.
///
/// The temporary name ends in `.tmp`; one that a crash left behind is overwritten by the next write
/// or ignored.
pub(super) fn replace(folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), Fault> {
    let temporary = format!("{name}.tmp");
    let doing = |what: &str| format!("{what} {}", folder.shown_of(name).display());
    let mut file =
        folder.create_anew(&temporary).map_err(|error| Fault::io(doing("create"), error))?;
    file.write_all(bytes).map_err(|error| Fault::io(doing("write"), error))?;
    file.sync_all().map_err(|error| Fault::sync(doing("sync"), error))?;
    folder.rename(&temporary, name).map_err(|error| Fault::io(doing("put in place"), error))?;
    sync(folder)
}

/// Removes a file in a folder for good; one that is not there is no error.
pub(super) fn remove(folder: &Folder, name: &str) -> Result<(), Fault> {
    match folder.remove_file(name) {
        // Also one that is not there any more may have gone only a moment ago.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Fault::io(format!("remove {}", folder.shown_of(name).display()), error))
        }
        _ => sync(folder),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Folder) -> Result<(), Fault> {
    folder.sync().map_err(|error| {
        Fault::sync(format!("sync the directory {}", folder.shown().display()), error)
    })
}

/// The same for a directory that is named by its path.
pub(super) fn sync_directory(dir: &Path) -> Result<(), Fault> {
    // Where it cannot be opened, nothing was synced, and no sync has failed.
    File::open(dir)
        .map_err(|error| Fault::io(format!("open the directory {}", dir.display()), error))?
        .sync_all()
        .map_err(|error| Fault::sync(format!("sync the directory {}", dir.display()), error))
}
