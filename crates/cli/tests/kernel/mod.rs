//! A kernel that refuses calls: a program runs under a filter of system calls that asks here about
//! some of them, so that their errors come from the kernel itself, and last until the test ends
//! them.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A call that may be refused.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) call: Call,
    /// The name of the thread, which is that of its program where it gave none.
    pub(crate) by: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Without its path where that cannot be read.
    MakeDirectory(Option<PathBuf>),
    /// With the new name, where that can be read.
    Rename(Option<PathBuf>),
    MakeSockets,
    /// A process or a thread.
    Fork,
}

/// What is refused, with which error.
type Rule = Box<dyn Fn(&Asked) -> Option<i32> + Send>;

/// What becomes of the calls of one program and of all that it starts.
#[derive(Clone, Default)]
pub(crate) struct Kernel(Arc<Mutex<Option<Rule>>>);

impl Kernel {
    /// Starts a program under this kernel; `None`, which is told, where that cannot be had.
    pub(crate) fn spawn(&self, mut command: Command) -> std::io::Result<Option<Child>> {
        let (ours, theirs) = UnixStream::pair()?;
        let filter = filter();
        let put_on = move || {
            let listener = put_on(&filter)?;
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            let sent = [listener.as_fd()];
            beside.push(SendAncillaryMessage::ScmRights(&sent));
            sendmsg(&theirs, &[IoSlice::new(b"l")], &mut beside, SendFlags::NOSIGNAL)?;
            Ok(())
        };
        // SAFETY: only system calls are made, on what was made before the fork.
        let child = match unsafe { command.pre_exec(put_on) }.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: no filter that asks can be put on here ({error})");
                return Ok(None);
            }
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&ours, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        let listener = beside.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut beside) => beside.next(),
            _ => None,
        });
        let listener = listener.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let kernel = self.clone();
        std::thread::spawn(move || kernel.serve(&listener));
        Ok(Some(child))
    }

    /// From now on these calls are refused.
    pub(crate) fn refuse(&self, rule: impl Fn(&Asked) -> Option<i32> + Send + 'static) {
        *self.0.lock().expect("no test panics here") = Some(Box::new(rule));
    }

    /// From now on none is.
    pub(crate) fn allow(&self) {
        *self.0.lock().expect("no test panics here") = None;
    }

    /// Answers until nobody is left who could ask.
    fn serve(&self, listener: &OwnedFd) {
        loop {
            let mut polled = [PollFd::new(listener, PollFlags::IN)];
            let polled = poll(&mut polled, None).map(|_| polled[0].revents());
            match polled {
                Ok(events) if events.contains(PollFlags::IN) => self.answer(listener),
                Ok(events) if events.is_empty() => {}
                _ => return,
            }
        }
    }

    fn answer(&self, listener: &OwnedFd) {
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
        let rule = self.0.lock().expect("no test panics here");
        let refused = rule.as_ref().and_then(|rule| rule(&Asked::of(&asked)?));
        drop(rule);
        let (error, flags) = match refused {
            Some(errno) => (-errno, 0),
            None => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        };
        let mut said = libc::seccomp_notif_resp { id: asked.id, val: 0, error, flags };
        // SAFETY: reads an answer that lives until the call returns.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut said) };
    }
}

impl Asked {
    fn of(asked: &libc::seccomp_notif) -> Option<Self> {
        let call = match i64::from(asked.data.nr) {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mkdir => Call::MakeDirectory(path_at(asked.pid, asked.data.args[0])),
            libc::SYS_mkdirat => Call::MakeDirectory(path_at(asked.pid, asked.data.args[1])),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename => Call::Rename(path_at(asked.pid, asked.data.args[1])),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            libc::SYS_renameat => Call::Rename(path_at(asked.pid, asked.data.args[3])),
            libc::SYS_renameat2 => Call::Rename(path_at(asked.pid, asked.data.args[3])),
            libc::SYS_socketpair => Call::MakeSockets,
            _ => Call::Fork,
        };
        let name = std::fs::read_to_string(format!("/proc/{}/comm", asked.pid)).ok()?;
        Some(Self { call, by: name.trim().to_owned() })
    }
}

/// The path at an address of a thread that waits for the answer.
fn path_at(thread: u32, mut address: u64) -> Option<PathBuf> {
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut path = Vec::new();
    let mut byte = [0];
    loop {
        memory.read_exact_at(&mut byte, address).ok()?;
        match byte {
            [0] => return String::from_utf8(path).ok().map(PathBuf::from),
            [other] => path.push(other),
        }
        address += 1;
    }
}

/// A filter that asks about these calls and allows all others.
fn filter() -> Vec<libc::sock_filter> {
    let numbers = [
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mkdir,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork,
        libc::SYS_mkdirat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename,
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        libc::SYS_renameat,
        libc::SYS_renameat2,
        libc::SYS_socketpair,
        libc::SYS_clone,
        libc::SYS_clone3,
    ];
    let instruction = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let code = |bits: u32| u16::try_from(bits).expect("codes are small");
    let (load, equal, give) = (
        code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS),
        code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K),
        code(libc::BPF_RET | libc::BPF_K),
    );
    let mut filter = vec![instruction(load, 0, 0)];
    for (left, number) in (1..=u8::try_from(numbers.len()).expect("few")).rev().zip(numbers) {
        filter.push(instruction(equal, left, u32::try_from(number).expect("numbers are small")));
    }
    filter.push(instruction(give, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(instruction(give, 0, libc::SECCOMP_RET_USER_NOTIF));
    filter
}

fn put_on(filter: &[libc::sock_filter]) -> std::io::Result<OwnedFd> {
    let length = libc::c_ushort::try_from(filter.len()).unwrap_or(0);
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the kernel copies the program, which lives until the call returns, and does not write
    // to it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    match i32::try_from(fd) {
        // SAFETY: the call has just made this descriptor, so nothing else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(std::io::Error::last_os_error()),
    }
}
