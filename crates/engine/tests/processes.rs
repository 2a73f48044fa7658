//! Sessions as processes, against programs that try to get away.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "programs and fixtures of tests")]

#[path = "processes/engine.rs"]
mod engine;
#[path = "processes/fixture.rs"]
mod fixture;
#[path = "processes/hostile.rs"]
mod hostile;
#[path = "processes/oracle.rs"]
mod oracle;
#[path = "processes/reexec.rs"]
mod reexec;

#[path = "processes/adoption.rs"]
mod adoption;
#[path = "processes/battery.rs"]
mod battery;
#[path = "processes/closing.rs"]
mod closing;
#[path = "processes/ends.rs"]
mod ends;
#[path = "processes/limits.rs"]
mod limits;
#[path = "processes/losses.rs"]
mod losses;
#[path = "processes/namespaces.rs"]
mod namespaces;
#[path = "processes/on_end.rs"]
mod on_end;
#[path = "processes/outputs.rs"]
mod outputs;
#[path = "processes/room.rs"]
mod room;
#[path = "processes/steering.rs"]
mod steering;
#[path = "processes/usage.rs"]
mod usage;
