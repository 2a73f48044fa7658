//! Answers the calls of which a filter alone cannot say whom they are about: scheduling and priority
//! of another process are the session's business if that process is of the session.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use super::filter::{self, Whom};
use crate::process::packets::Packets;
use crate::process::proc_table::{self, ProcessStat};

/// Longest line of parents that is followed.
const MAX_ANCESTORS: usize = 4_096;
/// Times that it is read again because somebody in it has ended.
const MAX_READINGS: usize = 16;

/// Where the warden hears what a filter asks.
#[derive(Debug)]
pub(super) enum Listener {
    /// The program's process will send it, or become the program without.
    Expected(Packets),
    There(OwnedFd),
    None,
}

impl Listener {
    /// What becomes readable when there is something to do.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Expected(way) => Some(way.as_fd()),
            Self::There(listener) => Some(listener.as_fd()),
            Self::None => None,
        }
    }

    /// Takes what is there by now; `has_something` says whether it is more than an end.
    pub(super) fn serve(&mut self, has_something: bool) {
        *self = match std::mem::replace(self, Self::None) {
            Self::Expected(way) => match way.receive::<()>() {
                Ok(Some(((), beside))) => beside.into_iter().next().map_or(Self::None, Self::There),
                _ => Self::None,
            },
            Self::There(listener) if has_something => {
                answer(&listener);
                Self::There(listener)
            }
            // Nobody is left who could ask.
            Self::There(_) | Self::None => Self::None,
        };
    }
}

/// Answers one question.
fn answer(listener: &OwnedFd) {
    // SAFETY: all zeroes are a valid question, and the kernel wants them.
    let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: fills a question that lives until the call returns.
    let heard = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked)
    };
    // Who asked may have been killed.
    if heard != 0 {
        return;
    }
    let (error, flags) = match may(&asked) {
        true => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        false => (-libc::EPERM, 0),
    };
    let mut said = libc::seccomp_notif_resp { id: asked.id, val: 0, error, flags };
    let say = |said: *mut libc::seccomp_notif_resp| {
        // SAFETY: reads an answer that lives until the call returns.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, said) }
    };
    if say(&raw mut said) != 0 && flags != 0 {
        // A kernel before 5.5 cannot let a call go on.
        (said.error, said.flags) = (-libc::EPERM, 0);
        say(&raw mut said);
    }
}

fn may(asked: &libc::seccomp_notif) -> bool {
    let Some(whom) = filter::whom(&asked.data) else { return false };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // In a process namespace that the session has made there is nobody else, and ids mean something
    // else.
    if namespaces_of(asked.pid.cast_signed()) > namespaces_of(own) {
        return true;
    }
    match whom {
        Whom::Process(pid) => match proc_table::stat(pid) {
            Some(seen) => is_below(own, &seen),
            None => !exists(pid),
        },
        Whom::Group(group) => {
            let Ok(listed) = proc_table::all() else { return false };
            let mut members = listed.into_iter().filter(|seen| seen.group == group).peekable();
            match members.peek() {
                Some(_) => members.all(|seen| is_below(own, &seen)),
                None => group == 0 || !exists(-group),
            }
        }
    }
}

/// In how many process namespaces a process has an id, as far as that can be seen.
fn namespaces_of(pid: i32) -> usize {
    let status = proc_table::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.map_or(1, |ids| ids.split_ascii_whitespace().count())
}

/// Whether a process, or a thread of one, is below this one; not if that cannot be told.
fn is_below(own: i32, seen: &ProcessStat) -> bool {
    (0..MAX_READINGS).find_map(|_| line_leads_to(own, seen.pid)).unwrap_or(false)
}

/// The same by one reading; `None` if somebody in the line has ended meanwhile.
fn line_leads_to(own: i32, mut pid: i32) -> Option<bool> {
    for _ in 0..MAX_ANCESTORS {
        match proc_table::stat(pid)?.parent {
            parent if parent == own => return Some(true),
            ..=1 => return Some(false),
            parent => pid = parent,
        }
    }
    Some(false)
}

/// Whether there is such a process or group, also where `/proc` does not show it.
fn exists(target: i32) -> bool {
    // SAFETY: takes numbers, and sends nothing.
    let answer = unsafe { libc::kill(target, 0) };
    answer == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}
