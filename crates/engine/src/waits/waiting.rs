//! Waiting for something, from where it is asked.

use std::time::{Duration, Instant};

use antiphon_core::coordination::{Met, Need};
use antiphon_core::id::{CoordinationId, SessionId};
use tokio::sync::oneshot;

use super::MAX_NEEDS_OF_WAIT;
use super::recorded::{found, found_of_ended};
use crate::mailbox::{Handle, Request, Unavailable, WaitAnswer, WaitError, WaitRequest};
use crate::stats::Metric;

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waited {
    /// All needs are met, each by this.
    Met(Vec<Met>),
    /// Its time is over.
    TimedOut {
        /// What was not met.
        unmet: Vec<Need>,
    },
    /// The run has ended without what was waited for.
    Ended {
        /// What was not met.
        unmet: Vec<Need>,
    },
}

impl Handle {
    /// Waits until all needs are met. Whoever lets go of it has left: nothing stays behind.
    pub(crate) async fn wait_for(
        &self,
        run: &CoordinationId,
        needs: Vec<Need>,
        timeout: Option<Duration>,
        asking: Option<&SessionId>,
    ) -> Result<Waited, WaitError> {
        check(&needs)?;
        let began = Instant::now();
        let mut recorded = None;
        loop {
            // Let go of behind the reply, which the decider sees closed then.
            let mut leaving = Leaving { handle: self, run, waits: true };
            let (reply, answer) = oneshot::channel();
            let left = timeout.map(|time| time.saturating_sub(began.elapsed()));
            let request = WaitRequest::new(run.clone(), needs.clone(), reply)
                .at_most(left)
                .asked_by(asking.cloned())
                .knowing(recorded.take());
            self.send(Request::WaitFor(Box::new(request))).await?;
            let answer = answer.await;
            leaving.waits = false;
            let waited = match answer.map_err(|_| Unavailable::Stopped)?? {
                WaitAnswer::Met(met) => Waited::Met(met),
                WaitAnswer::TimedOut { unmet } => Waited::TimedOut { unmet },
                WaitAnswer::Ended { unmet } => Waited::Ended { unmet },
                WaitAnswer::NotLive => self.had(run, needs.clone()).await?,
                WaitAnswer::LookBack => {
                    let (run, needs) = (run.clone(), needs.clone());
                    recorded = Some(self.read(move |store| found(store, &run, &needs)).await?);
                    continue;
                }
            };
            if let Waited::Met(_) = waited {
                self.stats().record_time(Metric::DependencyResolution, began.elapsed());
            }
            return Ok(waited);
        }
    }

    /// What a run that has ended had of it.
    async fn had(&self, run: &CoordinationId, needs: Vec<Need>) -> Result<Waited, WaitError> {
        self.require(run).await?;
        let (run, wanted) = (run.clone(), needs.clone());
        let found = self.read(move |store| found_of_ended(store, &run, &wanted)).await?;
        let unmet = needs.into_iter().zip(&found).filter(|(_, found)| found.is_none());
        let unmet: Vec<Need> = unmet.map(|(need, _)| need).collect();
        Ok(match unmet.is_empty() {
            true => Waited::Met(found.into_iter().flatten().collect()),
            false => Waited::Ended { unmet },
        })
    }
}

/// Says that a caller waits no more where it was not answered.
struct Leaving<'a> {
    handle: &'a Handle,
    run: &'a CoordinationId,
    waits: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.handle.mention(Request::WaitGivenUp { run: self.run.clone() });
        }
    }
}

fn check(needs: &[Need]) -> Result<(), WaitError> {
    let (actual, max) = (needs.len(), MAX_NEEDS_OF_WAIT);
    match actual {
        0 => return Err(WaitError::Nothing),
        _ if actual > max => return Err(WaitError::TooManyNeeds { actual, max }),
        _ => {}
    }
    needs.iter().try_for_each(|need| match need {
        Need::Key(key) if key.looks_at_shared() => {
            Err(WaitError::OfShared { key: key.key.clone() })
        }
        need => Ok(need.check()?),
    })
}
