//! Reads a receipt back from its canonical bytes: all of it or nothing.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::CoordinationReceipt;
use super::bytes::{APPROVALS, CARRIED_OUT, GATES, REUSED, ROUTES, SIGNALS, TAG};
use super::content::{
    Approvals, ApprovedQuestion, CarriedOutItem, CarriedOutWork, Ending, Evidence, GateScore,
    GateScores, ReusedItem, ReusedWork, RouteTaken, RoutesTaken, SignalCounts, WorkOutcome,
};
use super::counts::Counts;
use super::error::ReceiptError;
use super::reader::Reader;
use super::wording;
use crate::coordination::approval::Answer;
use crate::coordination::budget::{BudgetUsage, CoordinationBudget, Usage};
use crate::coordination::fault::CoordinationError;
use crate::coordination::reused::Forerunner;
use crate::coordination::signal::SignalType;
use crate::coordination::stop::{StopCondition, Verdict};
use crate::coordination::work::{NeedTarget, SkipReason, WorkItemOutcome};
use crate::coordination::{
    MAX_ANSWERS_IN_RECEIPT, MAX_COUNTED_SIGNAL_TYPES, MAX_GATES_IN_RECEIPT, MAX_ROUTES,
    MAX_SESSION_IDS_PER_OUTCOME, MAX_WORK_OUTCOMES,
};
use crate::envelope::{CommitTip, MAX_APPEND_BYTES};
use crate::id::{CommitNumber, CoordinationId, Epoch, IdError, SessionId, Version, WorkId};
use crate::routing::{Name, RoutingDecision};
use crate::time::WallTime;

impl CoordinationReceipt {
    /// Reads a receipt back from [`CoordinationReceipt::canonical_bytes`]. What is read has these
    /// bytes and no others.
    ///
    /// ```
    /// use antiphon_core::coordination::{
    ///     CoordinationBudget, CoordinationReceipt, ReceiptBuilder, StopCondition,
    /// };
    /// let budget = CoordinationBudget::new(1, 60_000, 1_000, None)?;
    /// let receipt = ReceiptBuilder::new("nightly".parse()?, budget, 0)
    ///     .build(StopCondition::AllWorkCompleted, 1_000_000_000);
    /// assert_eq!(CoordinationReceipt::from_bytes(&receipt.canonical_bytes())?, receipt);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A [`ReceiptError`] says where the bytes are wrong; nothing of them is read then.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > MAX_APPEND_BYTES {
            return Err(ReceiptError::TooLarge { actual: bytes.len(), max: MAX_APPEND_BYTES });
        }
        let mut reader = Reader::new(bytes);
        if reader.text("the tag") != Ok(TAG) {
            return Err(ReceiptError::NotAReceipt);
        }
        let read = &mut reader;
        let mut receipt = Self {
            coordination_id: id::<CoordinationId>(read, "the coordination")?,
            ending: ending(read)?,
            verdict: verdict(read)?,
            outcome_chunks: read.list("the digests of items", usize::MAX, |read| {
                read.digest("a digest of items")
            })?,
            work_outcomes: read.list("the items", MAX_WORK_OUTCOMES, outcome)?,
            budget_usage: usage(read)?,
            budget_ceiling: ceiling(read)?,
            started_at: WallTime(read.u64("the start")?),
            completed_at: WallTime(read.u64("the end")?),
            totals: Counts::read(read)?,
            evidence: evidence(read)?,
            signals: if read.section(SIGNALS) { Some(signals(read)?) } else { None },
            gates: if read.section(GATES) { Some(gates(read)?) } else { None },
            approvals: if read.section(APPROVALS) { Some(approvals(read)?) } else { None },
            routes: if read.section(ROUTES) { Some(routes(read)?) } else { None },
            reused: if read.section(REUSED) { Some(reused(read)?) } else { None },
            carried_out: if read.section(CARRIED_OUT) { Some(carried_out(read)?) } else { None },
        };
        receipt.totals.work_reused = receipt.reused.as_ref().map_or(0, ReusedWork::count);
        reader.end()?;
        Ok(receipt)
    }
}

fn id<T: FromStr<Err = IdError>>(
    read: &mut Reader<'_>,
    what: &'static str,
) -> Result<T, ReceiptError> {
    let at = read.at();
    read.text(what)?.parse().map_err(|error| ReceiptError::Id { at, error })
}

/// A text that encodes a value.
fn word<T>(
    read: &mut Reader<'_>,
    what: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, ReceiptError> {
    let at = read.at();
    let text = read.text(what)?;
    parse(text).ok_or_else(|| ReceiptError::UnknownWord { at, what, found: text.to_owned() })
}

fn ending(read: &mut Reader<'_>) -> Result<Ending, ReceiptError> {
    let (at, what) = (read.at(), "the kind of ending");
    match read.u8(what)? {
        b'C' => word(read, "the stop condition", wording::read_stop).map(Ending::Completed),
        b'E' => error(read).map(StopCondition::Error).map(Ending::Completed),
        b'A' => word(read, "the reason to abort", wording::read_abort).map(Ending::Aborted),
        found => Err(ReceiptError::UnknownCode { at, what, found }),
    }
}

fn error(read: &mut Reader<'_>) -> Result<CoordinationError, ReceiptError> {
    let (at, what) = (read.at(), "the error");
    Ok(match read.text(what)? {
        "INVALID_BUDGET" => {
            CoordinationError::InvalidBudget { field: read.text("its field")?.to_owned() }
        }
        "WORK_QUEUE_SIZE_EXCEEDED" => {
            CoordinationError::WorkQueueSizeExceeded { actual: count(read)?, max: count(read)? }
        }
        "TICK_RATE_MISMATCH" => {
            let (expected, actual) = (read.u64("its rates")?, read.u64("its rates")?);
            CoordinationError::TickRateMismatch { expected, actual }
        }
        "CLOCK_REGRESSION" => {
            let (last, current) = (read.u64("its times")?, read.u64("its times")?);
            CoordinationError::ClockRegression { last, current }
        }
        "WORK_FAILED" => {
            CoordinationError::WorkFailed { work_id: id(read, "the item that failed")? }
        }
        found => return Err(ReceiptError::UnknownWord { at, what, found: found.to_owned() }),
    })
}

/// A number of things in memory, which is at most 2^32 on small machines.
fn count(read: &mut Reader<'_>) -> Result<usize, ReceiptError> {
    let (at, what) = (read.at(), "its numbers");
    let count = read.u64(what)?;
    usize::try_from(count).map_err(|_| ReceiptError::UnknownWord {
        at,
        what,
        found: count.to_string(),
    })
}

fn verdict(read: &mut Reader<'_>) -> Result<Verdict, ReceiptError> {
    word(read, "the verdict", |text| {
        [Verdict::Succeeded, Verdict::Partial, Verdict::Failed, Verdict::Aborted]
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
    })
}

fn work(read: &mut Reader<'_>, what: &'static str) -> Result<WorkId, ReceiptError> {
    id(read, what)
}

/// What was not there in time.
fn target(read: &mut Reader<'_>) -> Result<NeedTarget, ReceiptError> {
    let (kind_at, what) = (read.at(), "what was not there in time");
    let kind = read.text(what)?.to_owned();
    Ok(match kind.as_str() {
        "work" => NeedTarget::Work(id(read, what)?),
        "group" => NeedTarget::Group(id(read, what)?),
        "signal" => NeedTarget::Signal(word(read, what, |text| SignalType::new(text).ok())?),
        "key" => NeedTarget::Key(id(read, what)?),
        "approval" => NeedTarget::Approval(read.text(what)?.to_owned()),
        "route" if read.text(what)?.is_empty() => NeedTarget::Route,
        _ => return Err(ReceiptError::UnknownWord { at: kind_at, what, found: kind }),
    })
}

fn outcome(read: &mut Reader<'_>) -> Result<WorkOutcome, ReceiptError> {
    let (work_id, attempts) = (work(read, "an item")?, read.u32("its attempts")?);
    let (at, what) = (read.at(), "its outcome");
    let final_outcome = match read.u8(what)? {
        b'-' => None,
        b'S' => Some(WorkItemOutcome::Succeeded),
        b'F' => Some(WorkItemOutcome::Failed),
        b'N' => {
            let root = work(read, "the item that failed")?;
            Some(WorkItemOutcome::Skipped(SkipReason::NeedFailed(root)))
        }
        b'T' => Some(WorkItemOutcome::Skipped(SkipReason::NeedTimedOut(target(read)?))),
        b'D' => Some(WorkItemOutcome::Skipped(SkipReason::Denied(id(read, "a question")?))),
        b'O' => Some(WorkItemOutcome::Skipped(SkipReason::NotRouted)),
        b'C' => Some(WorkItemOutcome::Skipped(SkipReason::NotClaimable)),
        b'Q' => Some(WorkItemOutcome::Skipped(SkipReason::Requested)),
        b'R' => Some(WorkItemOutcome::Skipped(SkipReason::Rule)),
        found => return Err(ReceiptError::UnknownCode { at, what, found }),
    };
    Ok(WorkOutcome {
        work_id,
        attempts,
        final_outcome,
        sessions: read.list("its sessions", MAX_SESSION_IDS_PER_OUTCOME, |read| {
            read.u64("the number of a session")
        })?,
        output: read.optional("its output", |read| read.digest("its output"))?,
    })
}

fn usage(read: &mut Reader<'_>) -> Result<BudgetUsage, ReceiptError> {
    let sessions = read.u32("the sessions used")?;
    let elapsed_ticks = read.u64("the ticks used")?;
    let mut usage = BudgetUsage::with_tick_rate(read.u64("the tick rate")?);
    usage.advance(elapsed_ticks);
    usage.charge(&Usage {
        sessions,
        ticks: elapsed_ticks,
        tokens: read.u64("the tokens used")?,
        cache_tokens: read.u64("the cached tokens used")?,
        cost: read.u64("the cost")?,
        estimated: read.flag("whether it is estimated")?,
    });
    Ok(usage)
}

fn ceiling(read: &mut Reader<'_>) -> Result<CoordinationBudget, ReceiptError> {
    let at = read.at();
    let (sessions, ticks) = (read.u32("the ceiling of sessions")?, read.u64("that of ticks")?);
    let rate = read.u64("the tick rate")?;
    let tokens = read.optional("that of tokens", |read| read.u64("that of tokens"))?;
    let cost = read.optional("that of cost", |read| read.u64("that of cost"))?;
    let currency = read.optional("the currency", |read| read.text("the currency"))?;
    let budget = CoordinationBudget::new(sessions, ticks, rate, tokens)
        .map_err(|error| ReceiptError::Budget { at, error })?;
    Ok(budget.with_cost(cost, currency.map(str::to_owned)))
}

fn evidence(read: &mut Reader<'_>) -> Result<Evidence, ReceiptError> {
    let at = read.at();
    let found = read.u64("the first version")?;
    if found != 1 {
        return Err(ReceiptError::FirstVersion { at, found });
    }
    Ok(Evidence {
        last_version: Version(read.u64("the last version")?),
        head_hash: read.digest("the head hash")?,
        commit: CommitTip {
            number: CommitNumber(read.u64("the commit")?),
            hash: read.digest("the commit's hash")?,
        },
        epochs: read.list("the epochs", usize::MAX, |read| {
            Ok((Epoch(read.u64("an epoch")?), read.text("its engine")?.to_owned()))
        })?,
    })
}

fn signals(read: &mut Reader<'_>) -> Result<SignalCounts, ReceiptError> {
    let counts = read.list("the types of signals", MAX_COUNTED_SIGNAL_TYPES, |read| {
        let at = read.at();
        let found = read.text("a type of signals")?;
        let kind = SignalType::new(found).map_err(|_| ReceiptError::UnknownWord {
            at,
            what: "a type of signals",
            found: found.to_owned(),
        })?;
        Ok((at, kind, read.u64("the signals of a type")?))
    })?;
    let mut by_type = BTreeMap::new();
    for (at, kind, count) in counts {
        // In another order, or twice, they would be other bytes of the same receipt.
        let follows = by_type.last_key_value().is_none_or(|(last, _)| *last < kind);
        if !follows || count == 0 {
            let (what, found) = ("a type of signals", kind.to_string());
            return Err(ReceiptError::UnknownWord { at, what, found });
        }
        by_type.insert(kind, count);
    }
    Ok(SignalCounts { by_type, others: read.u64("the signals of other types")? })
}

fn gates(read: &mut Reader<'_>) -> Result<GateScores, ReceiptError> {
    Ok(GateScores {
        gates: read.list("the gates", MAX_GATES_IN_RECEIPT, |read| {
            Ok(GateScore {
                gate: read.text("a gate")?.to_owned(),
                score: read.u64("its score")?.cast_signed(),
                version: Version(read.u64("the version of its score")?),
            })
        })?,
        others: read.u64("the other gates")?,
    })
}

fn approvals(read: &mut Reader<'_>) -> Result<Approvals, ReceiptError> {
    Ok(Approvals {
        answers: read.list("the answers", MAX_ANSWERS_IN_RECEIPT, |read| {
            let question = id(read, "a question")?;
            let text = read.digest("the text of a question")?;
            let (at, what) = (read.at(), "an answer");
            let answer = match read.u8(what)? {
                b'Y' => Answer::Yes,
                b'N' => Answer::No,
                found => return Err(ReceiptError::UnknownCode { at, what, found }),
            };
            let by = id(read, "who answered")?;
            let version = Version(read.u64("the version of an answer")?);
            Ok(ApprovedQuestion { question, text, answer, by, version })
        })?,
        others: read.u64("the other answers")?,
    })
}

fn routes(read: &mut Reader<'_>) -> Result<RoutesTaken, ReceiptError> {
    Ok(RoutesTaken {
        chunks: read
            .list("the digests of routes", usize::MAX, |read| read.digest("a digest of routes"))?,
        routes: read.list("the routes", MAX_WORK_OUTCOMES, |read| {
            Ok(RouteTaken {
                session: read.u64("the session of a route")?,
                work_id: work(read, "the item of a route")?,
                decision: word(read, "the decision of a route", RoutingDecision::named)?,
                confidence: read.u32("the confidence of a route")?,
                rule: read.optional("the rule of a route", |read| {
                    word(read, "the rule of a route", |text| Name::new(text).ok())
                })?,
                to: read.list("the items that went on", MAX_ROUTES, |read| {
                    work(read, "an item that went on")
                })?,
            })
        })?,
    })
}

fn reused(read: &mut Reader<'_>) -> Result<ReusedWork, ReceiptError> {
    Ok(ReusedWork {
        forerunner: Forerunner {
            coordination: id(read, "the forerunner")?,
            receipt: read.digest("the forerunner's receipt")?,
            version: Version(read.u64("the forerunner's last version")?),
            hash: read.digest("the forerunner's head hash")?,
        },
        chunks: read.list("the digests of reused items", usize::MAX, |read| {
            read.digest("a digest of reused items")
        })?,
        items: read.list("the reused items", MAX_WORK_OUTCOMES, |read| {
            Ok(ReusedItem {
                work_id: work(read, "a reused item")?,
                from: work(read, "the item of the forerunner")?,
            })
        })?,
    })
}

fn carried_out(read: &mut Reader<'_>) -> Result<CarriedOutWork, ReceiptError> {
    Ok(CarriedOutWork {
        chunks: read.list("the digests of items carried out before", usize::MAX, |read| {
            read.digest("a digest of items carried out before")
        })?,
        items: read.list("the items carried out before", MAX_WORK_OUTCOMES, |read| {
            Ok(CarriedOutItem {
                work_id: work(read, "an item carried out before")?,
                session: SessionId {
                    coordination: id(read, "the run that carried it out")?,
                    number: read.u64("the number of its session")?,
                },
            })
        })?,
    })
}

impl Counts {
    /// All but those that follow from a section.
    fn read(read: &mut Reader<'_>) -> Result<Self, ReceiptError> {
        let mut count = || read.u64("the totals");
        Ok(Self {
            sessions: count()?,
            successful: count()?,
            failed: count()?,
            cancelled: count()?,
            lost: count()?,
            deferred: count()?,
            work_succeeded: count()?,
            work_reused: 0,
            work_failed: count()?,
            work_skipped_by_rule: count()?,
            work_skipped: count()?,
            work_unfinished: count()?,
            critical_missed: count()?,
            resumes: count()?,
            writes_refused: count()?,
        })
    }
}
