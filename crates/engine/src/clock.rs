//! Ledger time and wall time, and waiting for them: the one place where the engine reads a clock or
//! draws randomness.

use std::io;
use std::time::{Duration, SystemTime};

use antiphon_core::time::{LedgerTime, Now, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// Ledger time: continues from the last event of the ledger, by a clock that counts suspend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    base: LedgerTime,
    origin_ns: u64,
}

/// Nanoseconds since boot, suspend included where the system can tell.
fn suspend_counting_ns() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let id = ClockId::Boottime;
    // macOS's monotonic clock counts suspend.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let id = ClockId::Monotonic;
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The wall clock, in nanoseconds since 1970; 0 before that.
pub(crate) fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    WallTime(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Clock {
    /// A clock that continues from the last event.
    pub(crate) fn continuing(last: LedgerTime) -> Self {
        Self { base: last, origin_ns: suspend_counting_ns() }
    }

    /// The present ledger time.
    pub(crate) fn at(&self) -> LedgerTime {
        self.base.after(suspend_counting_ns().saturating_sub(self.origin_ns))
    }

    /// The present, with fresh randomness.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub(crate) fn now(&self) -> io::Result<Now> {
        let mut random = [0; 32];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        Ok(Now { at: self.at(), wall: wall(), random })
    }
}

/// Wakes a task at moments of the two clocks. On Linux by timers of the kernel, which count suspend
/// and follow a wall clock that is set.
#[derive(Debug)]
pub(crate) struct Timer {
    #[cfg(target_os = "linux")]
    boot: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    #[cfg(target_os = "linux")]
    wall: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
    armed: (Option<LedgerTime>, Option<WallTime>),
}

#[cfg(target_os = "linux")]
mod kernel_timer {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    pub(super) fn create(clock: TimerfdClockId) -> io::Result<AsyncFd<OwnedFd>> {
        let fd = timerfd_create(clock, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // SAFETY: an owned descriptor always names the same open file until it is dropped, and the
        // `AsyncFd` owns it from here on.
        Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
    }

    /// Arms at an absolute moment, or disarms.
    pub(super) fn arm(
        timer: &AsyncFd<OwnedFd>,
        at_ns: Option<u64>,
        flags: TimerfdTimerFlags,
    ) -> io::Result<()> {
        let spec = |ns: u64| Timespec {
            tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(ns % 1_000_000_000).unwrap_or(0),
        };
        // Zero would disarm; a moment that has passed fires at once.
        let value = at_ns.map_or(spec(0), |ns| spec(ns.max(1)));
        timerfd_settime(
            timer.get_ref(),
            flags,
            &Itimerspec { it_interval: spec(0), it_value: value },
        )?;
        Ok(())
    }

    /// Waits until it fires, or the wall clock is set.
    pub(super) async fn fired(timer: &AsyncFd<OwnedFd>) {
        let Ok(mut ready) = timer.readable().await else { return std::future::pending().await };
        let mut expirations = [0; 8];
        // Either outcome, also ECANCELED after the clock was set, means: look again.
        let _ = rustix::io::read(timer.get_ref(), &mut expirations);
        ready.clear_ready();
    }
}

impl Timer {
    /// A timer that is not armed. Needs a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        use rustix::time::TimerfdClockId;
        Ok(Self {
            #[cfg(target_os = "linux")]
            boot: kernel_timer::create(TimerfdClockId::Boottime)?,
            #[cfg(target_os = "linux")]
            wall: kernel_timer::create(TimerfdClockId::Realtime)?,
            armed: (None, None),
        })
    }

    /// Arms for the earliest moments on the two clocks.
    pub(crate) fn arm(
        &mut self,
        clock: &Clock,
        deadlines: (Option<LedgerTime>, Option<WallTime>),
    ) -> io::Result<()> {
        if self.armed == deadlines {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        {
            use rustix::time::TimerfdTimerFlags as Flags;
            if self.armed.0 != deadlines.0 {
                let boot_ns =
                    deadlines.0.map(|at| clock.origin_ns.saturating_add(at.since(clock.base)));
                kernel_timer::arm(&self.boot, boot_ns, Flags::ABSTIME)?;
            }
            if self.armed.1 != deadlines.1 {
                let flags = Flags::ABSTIME | Flags::CANCEL_ON_SET;
                kernel_timer::arm(&self.wall, deadlines.1.map(|wall| wall.0), flags)?;
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = clock;
        self.armed = deadlines;
        Ok(())
    }

    /// Waits until a moment has come for which the timer was armed. Cancel safe.
    pub(crate) async fn fired(&mut self, clock: &Clock) {
        #[cfg(target_os = "linux")]
        {
            let _ = clock;
            tokio::select! {
                () = kernel_timer::fired(&self.boot) => {}
                () = kernel_timer::fired(&self.wall) => {}
            }
        }
        #[cfg(not(target_os = "linux"))]
        {
            let left = |until: u64, now: u64| Duration::from_nanos(until.saturating_sub(now));
            let at = self.armed.0.map(|at| left(at.0, clock.at().0));
            let wall = self.armed.1.map(|until| left(until.0, wall().0));
            match at.into_iter().chain(wall).min() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        }
        self.armed = (None, None);
    }
}
