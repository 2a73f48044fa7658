//! What a service manager is told, if one started this process: the protocol is a datagram to the
//! socket that is named in the environment (sd_notify(3)).

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::stderr;

/// Tells it how this process is; nothing where there is none.
pub(super) fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = notify(socket.as_encoded_bytes(), state) {
        stderr::say(format!("the service manager could not be told: {error}"));
    }
}

fn notify(socket: &[u8], state: &str) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    #[cfg(target_os = "linux")]
    let address = {
        use std::os::linux::net::SocketAddrExt as _;
        match socket.split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?,
        }
    };
    #[cfg(not(target_os = "linux"))]
    let address = SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(socket))?;
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}
