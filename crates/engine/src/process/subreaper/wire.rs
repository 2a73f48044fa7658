//! What engine and subreaper say to each other: one JSON value in each packet, with descriptors
//! beside it. Each request brings the socket on which it is answered, so none waits for another.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::process::mark::Mark;
use crate::process::tree_end::Leftover;

/// Longest packet, in bytes. A session's id and a list of leftovers fit.
const MAX_PACKET: usize = 64 * 1024;
/// Most descriptors beside a packet.
const MAX_DESCRIPTORS: usize = 3;
/// Most processes that are named as left.
pub(super) const MAX_LEFT: usize = 100;

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::process) enum ToSubreaper {
    /// Start a warden: after the socket for the answer come its own socket and, if it has one, its
    /// session's input.
    Spawn { mark: Mark, session: String },
    /// Say what is left of lost wardens once it is ended, at the latest after this time; of a warden
    /// by its process id, or of all.
    Look { warden: Option<i32>, within_ms: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::process) enum FromSubreaper {
    Hello {
        version: String,
    },
    /// It cannot serve.
    Unprepared(String),
    /// A warden of this process id; a descriptor of it is beside this.
    Spawned {
        pid: i32,
    },
    /// The system refused something.
    Refused {
        errno: i32,
    },
    Left(Left),
}

/// What is left of lost wardens, by the kernel's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Left {
    nothing: bool,
    killed: u64,
    leftovers: Vec<Leftover>,
}

impl Left {
    pub(super) fn nothing(killed: u64) -> Self {
        Self { nothing: true, killed, leftovers: Vec::new() }
    }

    /// These, or what cannot be listed.
    pub(super) fn something(leftovers: Vec<Leftover>, killed: u64) -> Self {
        Self { nothing: false, killed, leftovers }
    }

    /// Whether the kernel says that nothing is left.
    pub(in crate::process) fn is_nothing(&self) -> bool {
        self.nothing
    }

    /// How many were killed since the warden was lost.
    pub(in crate::process) fn killed(&self) -> u64 {
        self.killed
    }

    pub(in crate::process) fn into_leftovers(self) -> Vec<Leftover> {
        self.leftovers
    }
}

/// One end of a way to send packets.
#[derive(Debug)]
pub(in crate::process) struct Packets(OwnedFd);

impl Packets {
    pub(in crate::process) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    pub(in crate::process) fn over(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Sends one packet whole, or not at all.
    pub(in crate::process) fn send(
        &self,
        message: &impl Serialize,
        beside: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)
            .unwrap_or_else(|error| panic!("BUG: a message does not serialise: {error}"));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !beside.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(beside)) {
            return Err(io::Error::other("too many descriptors beside a packet"));
        }
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Waits for one packet, within the time that was set; `None` once the other end is gone.
    pub(in crate::process) fn receive<M: for<'de> Deserialize<'de>>(
        &self,
    ) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; MAX_PACKET];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let into = &mut [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                // It went without having read what was said to it.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                received => break received?,
            }
        };
        let beside: Vec<OwnedFd> = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            // There was no room for the descriptors, or the message would not be ours.
            return Err(rustix::io::Errno::MFILE.into());
        }
        let message = serde_json::from_slice(&bytes[..received.bytes]).map_err(io::Error::other)?;
        Ok(Some((message, beside)))
    }

    /// How long to wait for a packet.
    pub(in crate::process) fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        let time = time.max(Duration::from_millis(1));
        Ok(set_socket_timeout(&self.0, Timeout::Recv, Some(time))?)
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
