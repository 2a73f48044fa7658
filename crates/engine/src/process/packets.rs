//! One JSON value in each packet, with descriptors beside it, between two processes of ours.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

/// Longest packet, in bytes. A session's id and a list of leftovers fit.
const MAX_PACKET: usize = 64 * 1024;
/// Most descriptors beside a packet.
const MAX_DESCRIPTORS: usize = 4;

/// One end of a way to send packets.
#[derive(Debug)]
pub(super) struct Packets(OwnedFd);

impl Packets {
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(ours), theirs))
    }

    pub(super) fn over(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Sends one packet whole, or not at all.
    pub(super) fn send(
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
    pub(super) fn receive<M: for<'de> Deserialize<'de>>(
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
    pub(super) fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        let time = time.max(Duration::from_millis(1));
        Ok(set_socket_timeout(&self.0, Timeout::Recv, Some(time))?)
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Packets {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
