//! What a victim runs short of, again and again while it works: it takes all of it, and gives it
//! back a moment later.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::random::Random;

/// Room on the small disk: several times what a ledger needs here.
const DISK: &str = "size=48m,mode=0700";

/// Files that a victim may have open: a few more than an engine asks for.
const FILES: u64 = 128;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shortage {
    /// Room on the disk with the ledger and the scratch directories, which is a small one
    Disk,
    /// Files that the engine may have open
    Files,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "room on the disk",
            Self::Files => "open files",
        })
    }
}

impl Shortage {
    /// The word on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Files => "files",
        }
    }

    /// Tries again what failed, until it is done: whatever it was that there was none of comes back.
    pub(super) async fn outlast<T, F>(
        shortage: Option<Self>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, BoxError>
    where
        F: Future<Output = Result<T, BoxError>>,
    {
        // What is said again and again would hide the rest of what the victim says.
        let mut said = String::new();
        loop {
            match (attempt().await, shortage) {
                (Err(error), Some(shortage)) => {
                    let error = error.to_string();
                    if error != said {
                        eprintln!("without {shortage}: {error}");
                        said = error;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                (done, _) => return done,
            }
        }
    }

    /// Begins to take everything now and then, for as long as this process lives. To be called
    /// before the engine starts.
    pub(super) fn begin(self, disk: PathBuf, mut random: Random) -> io::Result<()> {
        if self == Self::Files {
            limit_files()?;
        }
        std::thread::spawn(move || {
            loop {
                // Longer than the wait before a full disk is tried again, so that work goes on.
                let sufficient = if random.one_in(2) { random.between(5, 120) } else { 900 };
                std::thread::sleep(Duration::from_millis(sufficient));
                match self {
                    Self::Disk => {
                        let taken = fill(&disk);
                        std::thread::sleep(Duration::from_millis(random.between(1, 250)));
                        drop(taken);
                        empty(&disk);
                    }
                    Self::Files => {
                        let taken = take_files();
                        std::thread::sleep(Duration::from_millis(random.between(1, 120)));
                        drop(taken);
                    }
                }
            }
        });
        Ok(())
    }
}

#[cfg(unix)]
fn limit_files() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit { current: Some(FILES), maximum: Some(FILES) };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Opens files until that is refused.
fn take_files() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn filler(disk: &Path) -> PathBuf {
    disk.join("filler")
}

/// Writes until the last byte is refused.
fn fill(disk: &Path) -> io::Result<File> {
    let mut file = File::create(filler(disk))?;
    let zeros = vec![0; 1 << 20];
    let mut at_once = zeros.len();
    while at_once > 0 {
        match file.write(&zeros[..at_once]) {
            Ok(written) if written > 0 => {}
            _ => at_once /= 2,
        }
    }
    Ok(file)
}

/// Gives back the room that a victim has taken.
pub(super) fn empty(disk: &Path) {
    // There is none before the first time.
    let _ = fs::remove_file(filler(disk));
}

/// A small disk that is there until it is dropped.
#[derive(Debug)]
pub(super) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one over an empty directory.
    #[cfg(target_os = "linux")]
    pub(super) fn mount(over: &Path) -> io::Result<Self> {
        let options = std::ffi::CString::new(DISK)?;
        let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
        rustix::mount::mount("antiphon-torture", over, "tmpfs", flags, options.as_c_str())
            .map(|()| Self(over.to_owned()))
            .map_err(|error| {
                let error = io::Error::from(error);
                let advice = "only root may; an ordinary user can try `unshare --user --map-root-user --mount` before the command";
                io::Error::new(error.kind(), format!("{error}; {advice}"))
            })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn mount(_over: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "there are small disks on Linux only"))
    }

    /// Leaves it mounted for somebody to look at.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH) {
            eprintln!("the small disk at {} cannot be unmounted: {error}", self.0.display());
        }
    }
}
