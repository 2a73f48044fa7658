//! Which state directory a command is about.

use std::path::{Path, PathBuf};

/// Name of the state directory.
pub(crate) const NAME: &str = ".antiphon";

/// The directory that was named, else the nearest one upwards, else one here.
pub(crate) fn find(options: &Options) -> PathBuf {
    if let Some(dir) = &options.dir {
        return dir.clone();
    }
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let nearest = here.ancestors().map(|dir| dir.join(NAME)).find(|dir| dir.is_dir());
    nearest.unwrap_or_else(|| Path::new(NAME).to_path_buf())
}
use crate::options::Options;
