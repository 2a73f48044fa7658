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
//!         let mut running = wardens.launch(&session, Launch::new(["make", "check"],
//! "/srv/project")).await?;
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

#[cfg(target_os = "linux")]
mod children;
#[cfg(target_os = "linux")]
mod cut_off;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod emptying;
#[cfg(target_os = "linux")]
mod folder;
#[cfg(target_os = "linux")]
mod identity;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod mark;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
mod outlast;
#[cfg(target_os = "linux")]
mod packets;
#[cfg(target_os = "linux")]
mod placement;
#[cfg(target_os = "linux")]
mod proc_table;
#[cfg(target_os = "linux")]
mod reexec;
#[cfg(target_os = "linux")]
mod running;
#[cfg(target_os = "linux")]
mod scratch;
#[cfg(target_os = "linux")]
mod session_processes;
#[cfg(target_os = "linux")]
mod setup;
#[cfg(target_os = "linux")]
mod signal;
#[cfg(target_os = "linux")]
mod start;
#[cfg(target_os = "linux")]
mod subreaper;
#[cfg(target_os = "linux")]
mod subreapers;
#[cfg(target_os = "linux")]
mod sweep;
#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(target_os = "linux")]
mod warden;
#[cfg(target_os = "linux")]
mod wardens;
#[cfg(target_os = "linux")]
mod wire;

pub use launch::{Check, Guard, Launch, LaunchError, Limits, Scratch, StopReason, WardensError};
pub(crate) use redaction::redacted;
pub use redaction::{MIN_SECRET_BYTES, Secret};
pub use tree_end::{
    Captured, Cause, Checked, Containment, ExitStatus, Leftover, Limit, Protection, Resources,
    ResultFile, StartFailure, TreeEnd,
};

#[cfg(target_os = "linux")]
pub(crate) use sweep::sweep_in;
#[cfg(not(target_os = "linux"))]
pub use unsupported::{WardenSetup, Wardens, enter, session_of};
#[cfg(target_os = "linux")]
pub use {
    folder::{Kept, SessionFolder},
    identity::ProcessIdentity,
    orphans::{Orphan, OrphanPlace, OrphanState, orphans},
    placement::session_of,
    reexec::enter,
    running::RunningTree,
    setup::{WardenProgram, WardenSetup},
    sweep::{SweepVerdict, Swept, sweep},
    wardens::Wardens,
};
