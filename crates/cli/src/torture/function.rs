//! The functions that the victim's sessions run: they behave as their item's id says and journal
//! when they begin and when they are gone.

use std::sync::Arc;
use std::time::Duration;

use antiphon::coordination::Need;
use antiphon::id::{SessionId, WorkId};
use antiphon::random::Random;
use antiphon::routing::{Route, RoutingDecision};
use antiphon::{Failed, Output, SessionContext, SessionResult};

use super::journal::{Entry, JournalWriter};
use super::talk;
use super::workload;

/// Nanoseconds since boot, suspend included where the system can tell.
fn since_boot_ns() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// Journals that a function began, and, when it is dropped, that it is gone.
struct Presence {
    journal: Arc<JournalWriter>,
    session: SessionId,
    work: WorkId,
}

impl Presence {
    fn of(session: &SessionContext, journal: &Arc<JournalWriter>) -> Self {
        let at_ns = since_boot_ns();
        journal.write(&Entry::Began {
            session: session.session().clone(),
            work: session.work().clone(),
            fence: session.fence(),
            attempt: session.attempt(),
            pid: std::process::id(),
            at_ns,
        });
        Self {
            journal: Arc::clone(journal),
            session: session.session().clone(),
            work: session.work().clone(),
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let (session, work) = (self.session.clone(), self.work.clone());
        self.journal.write(&Entry::Left {
            session,
            work,
            pid: std::process::id(),
            at_ns: since_boot_ns(),
        });
    }
}

/// One session.
pub(super) async fn carry_out(
    seed: u64,
    journal: Arc<JournalWriter>,
    session: SessionContext,
) -> SessionResult {
    let _present = Presence::of(&session, &journal);
    check_needs(&journal, &session).await?;
    let mut random = Random::named(seed, &session.session().to_string());
    let used = |random: &mut Random| (random.below(100), random.below(50));
    match session.work().as_str().split('-').next() {
        Some("slow") => tokio::time::sleep(Duration::from_millis(random.below(8))).await,
        Some("flaky") if random.one_in(2) => {
            return Err(Failed::because("half of the time it does not work"));
        }
        Some("always_fails") => return Err(Failed::because("it never works")),
        Some("panics") if session.attempt() == 1 => panic!("a function may panic"),
        Some("defers") if random.one_in(2) => {
            let until = std::time::SystemTime::now() + Duration::from_millis(3);
            return Err(Failed::deferred(until, "the quota refills soon"));
        }
        Some("hangs") => {
            session.stop_requested().await;
            return Err(Failed::because("it was asked to stop"));
        }
        Some("stubborn") => std::future::pending().await,
        Some("sends" | "counts" | "asks") => {
            let spoken = talk::speak_as(&session, &journal).await;
            spoken.map_err(|error| Failed::because(error.to_string()))?;
        }
        Some("redoes") if session.attempt() == 1 => {
            let again = Route::new(RoutingDecision::Retry, "once more");
            return Ok(Output::text(output_of(session.work().as_str())).routed(again));
        }
        Some("leaves") => {
            let route = Route::new(RoutingDecision::Skip, "there is nothing to do");
            return Err(Failed::because("nothing was done").routed(route));
        }
        Some("gives_up") if random.one_in(2) => {
            let decision =
                if random.one_in(3) { RoutingDecision::End } else { RoutingDecision::Error };
            return Err(
                Failed::because("it will never work").routed(Route::new(decision, "enough"))
            );
        }
        Some("adds") => {
            let added = session.add_work(vec![workload::added_by(session.session().number)?]).await;
            // The coordination may take no more work by now.
            drop(added);
        }
        Some("large") => {
            let mut bytes = output_of(session.work().as_str()).into_bytes();
            bytes.resize(100_000, b'.');
            return Ok(Output::bytes(bytes));
        }
        Some("metered") => {
            let (tokens, cost) = used(&mut random);
            let (tokens, cost) = (
                tokens.min(session.grant().tokens.unwrap_or(0)),
                cost.min(session.grant().cost.unwrap_or(0)),
            );
            return Ok(Output::text(output_of(session.work().as_str())).with_usage(tokens, cost));
        }
        Some("greedy") => {
            let (tokens, cost) = used(&mut random);
            // More than it was granted, unless that was very much.
            let granted = |grant: Option<u64>| grant.unwrap_or(0).min(10_000);
            let (tokens, cost) =
                (tokens + granted(session.grant().tokens), cost + granted(session.grant().cost));
            return Ok(Output::text(output_of(session.work().as_str())).with_usage(tokens, cost));
        }
        _ => {}
    }
    Ok(Output::text(output_of(session.work().as_str())).with_score("quality", 500_000))
}

pub(super) fn output_of(work: &str) -> String {
    format!("what {work} put out\n")
}

/// Whatever a need has put out must be what was put out, before and after any number of crashes.
async fn check_needs(journal: &JournalWriter, session: &SessionContext) -> Result<(), Failed> {
    for need in &session.spec().needs {
        let Need::Work(work) = need else { continue };
        let Some(bytes) = session.output_of(work).await?.and_then(Output::into_bytes) else {
            continue;
        };
        // A nested coordination puts out its receipt.
        if !work.as_str().starts_with("nested")
            && !bytes.starts_with(output_of(work.as_str()).as_bytes())
        {
            let about = format!(
                "{} was given another output of {work} than was put out",
                session.session()
            );
            journal.write(&Entry::Complained { about });
        }
    }
    Ok(())
}
