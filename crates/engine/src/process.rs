//! Sessions as processes: started, limited, and ended together with everything that they started.
//!
//! Each session has a *warden*, a small process that owns its tree and reports its end. What is
//! promised and what is not is in `docs/process-ownership.md`. Nothing here knows of the ledger.
//!
//! ```no_run
//! use antiphon::process::{Launch, WardenSetup, Wardens, enter};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     enter(); // before any thread: this process may have been started to be a warden
//!     tokio::runtime::Runtime::new()?.block_on(async {
//!         let wardens = Wardens::open(".antiphon".as_ref(), WardenSetup::default())?;
//!         wardens.sweep()?; // what an earlier start left running
//!         let session = "nightly.1".parse()?;
//!         let mut running = wardens.launch(&session, Launch::new(["make", "check"], "/srv/project")).await?;
//!         let end = running.ended().await;
//!         println!("{:?}, nothing left: {}", end.status, end.clean);
//!         wardens.forget(&session)?; // once the end is recorded
//!         Ok(())
//!     })
//! }
//! ```

mod launch;
mod redaction;
mod tree_end;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod entry;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod identity;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod placement;
#[cfg(target_os = "linux")]
mod proc_table;
#[cfg(target_os = "linux")]
mod remains;
#[cfg(target_os = "linux")]
mod running;
#[cfg(target_os = "linux")]
mod scratch;
#[cfg(target_os = "linux")]
mod signal;
#[cfg(target_os = "linux")]
mod sweep;
#[cfg(target_os = "linux")]
mod tattoo;
#[cfg(target_os = "linux")]
mod warden;
#[cfg(target_os = "linux")]
mod wardens;
#[cfg(target_os = "linux")]
mod wire;

pub use launch::{Check, Guard, Launch, LaunchError, Limits, Scratch, Stop, WardensError};
pub use redaction::{MIN_SECRET_BYTES, Secret};
pub use tree_end::{
    Captured, Cause, Checked, Containment, ExitStatus, Leftover, Limit, Protection, Resources,
    ResultFile, StartFailure, TreeEnd,
};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{WardenSetup, Wardens, enter, session_of};
#[cfg(target_os = "linux")]
pub use {
    entry::enter,
    folder::{Kept, SessionFolder},
    identity::ProcessIdentity,
    placement::session_of,
    remains::{KnownRemains, Remains, RemainsPlace, remains},
    running::Running,
    sweep::{SweepVerdict, Swept, sweep},
    wardens::{WardenProgram, WardenSetup, Wardens},
};
