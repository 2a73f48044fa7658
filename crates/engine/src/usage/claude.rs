//! What `claude -p` prints with `--output-format json` and `stream-json`.
//!
//! Traps, all met in the field: `usage` is the main agent alone and leaves the cache out of its
//! input, while `modelUsage` and `total_cost_usd` are cumulative and hold the sub-agents;
//! `subtype: success` may come with `is_error: true`; a `rate_limit_event` comes with every run and
//! means something only when it was rejected; the exit code may be 0 all the same. The figures of a
//! run that resumed an earlier one may hold what that one used, too.

use antiphon_core::coordination::Report;
use antiphon_core::time::WallTime;
use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{AgentRun, ReportedOutcome, SessionReport, cut, limit, millionths};

/// The line that ends a run; fields that are not known here do not matter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResultMessage {
    session_id: Option<String>,
    subtype: Option<String>,
    is_error: bool,
    result: Option<Value>,
    structured_output: Option<Value>,
    errors: Option<Value>,
    api_error_status: Option<u16>,
    total_cost_usd: Option<f64>,
    usage: Option<Main>,
    #[serde(rename = "modelUsage")]
    models: Option<std::collections::BTreeMap<String, Model>>,
    #[serde(rename = "model_usage_since_last_result", alias = "modelUsageSinceLastResult")]
    since: Option<std::collections::BTreeMap<String, Model>>,
}

/// Usage of one model, with all sub-agents.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Model {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation_input_tokens: u64,
    #[serde(rename = "costUSD")]
    cost_usd: Option<f64>,
}

/// Usage of the main agent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Main {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation_input_tokens: u64,
}

/// A note on quotas; comes with every run.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Quota {
    status: String,
    resets_at: Option<u64>,
    overage_status: Option<String>,
    is_using_overage: bool,
}

impl Quota {
    fn is_rejected(&self) -> bool {
        self.status == "rejected"
            || (self.is_using_overage && self.overage_status.as_deref() == Some("rejected"))
    }
}

/// Largest message that is read, in bytes; others are far smaller, and as values they would take
/// many times as much memory.
const MAX_MESSAGE: usize = 1 << 20;

/// Reads one JSON document: the result, or with `--verbose` an array of all messages.
#[must_use]
pub fn claude(run: &AgentRun<'_>, now: WallTime) -> SessionReport {
    let mut collected = Collected::default();
    let stdout = run.printed.trim_ascii();
    let read = match run.tail {
        Some(tail) => match last_result(tail) {
            Some(message) => {
                collected.take_message(message);
                Ok(())
            }
            None => return unread("its output was cut, and its result with it".to_owned()),
        },
        None if stdout.starts_with(b"[") => {
            let mut document = serde_json::Deserializer::from_slice(stdout);
            document.deserialize_seq(Messages(&mut collected)).and_then(|()| document.end())
        }
        // Where something is no JSON at all, it is told where it stops being that.
        None => {
            serde_json::from_slice::<IgnoredAny>(stdout).map(|_| collected.take_message(stdout))
        }
    };
    match read {
        Ok(()) => collected.reading(run, now),
        Err(error) if stdout.is_empty() => unread(format!("it printed nothing: {error}")),
        Err(error) => unread(format!("its output is not a single JSON document: {error}")),
    }
}

/// The result in what is left of an array of messages, of which it is the last.
fn last_result(tail: &[u8]) -> Option<&[u8]> {
    const BEGINNING: &[u8] = br#"{"type":"result""#;
    let at = tail.windows(BEGINNING.len()).rposition(|there| there == BEGINNING)?;
    let message: &RawValue =
        serde_json::Deserializer::from_slice(&tail[at..]).into_iter().next()?.ok()?;
    Some(message.get().as_bytes())
}

/// Reads a stream of lines, each a JSON document.
#[must_use]
pub fn claude_stream(run: &AgentRun<'_>, now: WallTime) -> SessionReport {
    // A cut goes through two lines, which are not whole and say nothing.
    let is_end = |byte: &u8| *byte == b'\n';
    let (head, tail) = match run.tail {
        None => (run.printed, &[][..]),
        Some(tail) => {
            let head =
                run.printed.iter().rposition(is_end).map_or(&[][..], |end| &run.printed[..end]);
            (head, tail.iter().position(is_end).map_or(&[][..], |begin| &tail[begin + 1..]))
        }
    };
    let mut collected = Collected::default();
    let lines = head.split(is_end).chain(tail.split(is_end));
    for line in lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        collected.take_message(line);
    }
    collected.reading(run, now)
}

fn unread(degraded: String) -> SessionReport {
    SessionReport { degraded: Some(degraded), ..SessionReport::default() }
}

/// The members of an array, one after the other: all of them at once may be many times as large as
/// their text.
struct Messages<'a>(&'a mut Collected);

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<(), A::Error> {
        while let Some(message) = messages.next_element::<&RawValue>()? {
            self.0.take_message(message.get().as_bytes());
        }
        Ok(())
    }
}

/// What the messages have said so far. It does not grow with their number.
#[derive(Debug, Default)]
struct Collected {
    last: Option<ResultMessage>,
    /// The figures of all results since the one before each.
    since: Since,
    rejected: Option<Option<WallTime>>,
    unreadable: usize,
}

/// Figures that are added up as they come.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    sum: Report,
    /// Whether a result had none, and whether one had no cost.
    is_missing: bool,
    costs_are_missing: bool,
}

impl Collected {
    fn take_message(&mut self, message: &[u8]) {
        let read = (message.len() <= MAX_MESSAGE)
            .then(|| serde_json::from_slice::<Value>(message).ok())
            .flatten();
        let Some(message) = read else {
            self.unreadable += 1;
            return;
        };
        match message.get("type").and_then(Value::as_str) {
            Some("result") => match serde_json::from_value::<ResultMessage>(message) {
                Ok(ended) => {
                    self.since.take(ended.since.as_ref());
                    self.last = Some(ended);
                }
                Err(_) => self.unreadable += 1,
            },
            Some("rate_limit_event") => {
                let quota: Quota = message["rate_limit_info"].clone().deserialize_or_default();
                if quota.is_rejected() {
                    self.rejected = Some(
                        quota
                            .resets_at
                            .map(|seconds| WallTime(seconds.saturating_mul(1_000_000_000))),
                    );
                }
            }
            // Other messages, known and unknown, say nothing of usage.
            _ => {}
        }
    }

    fn reading(self, run: &AgentRun<'_>, now: WallTime) -> SessionReport {
        let mut notes: Vec<String> = Vec::new();
        if self.unreadable > 0 {
            notes.push(match self.unreadable {
                1 => "1 line could not be read".to_owned(),
                lines => format!("{lines} lines could not be read"),
            });
        }
        let report = self.last.as_ref().and_then(|last| report(last, self.since, run, &mut notes));
        let outcome = match &self.last {
            None => {
                notes.push("no result line was found".to_owned());
                let deferred = |until| ReportedOutcome::Deferred {
                    until,
                    text: "a limit was reached".to_owned(),
                };
                self.rejected.map_or(ReportedOutcome::Nothing, deferred)
            }
            Some(ended) => outcome_of(ended, self.rejected, now),
        };
        let output = self.last.and_then(|ended| ended.structured_output.or(ended.result));
        let degraded = (!notes.is_empty()).then(|| notes.join("; "));
        SessionReport { report, outcome, output, scores: Default::default(), degraded }
    }
}

impl Since {
    fn take(&mut self, models: Option<&std::collections::BTreeMap<String, Model>>) {
        self.is_missing |= models.is_none();
        for model in models.into_iter().flat_map(|models| models.values()) {
            add(&mut self.sum, model);
            match model.cost_usd.and_then(millionths) {
                Some(cost) => self.sum.cost = self.sum.cost.saturating_add(cost),
                None => self.costs_are_missing = true,
            }
        }
    }
}

fn outcome_of(
    ended: &ResultMessage,
    rejected: Option<Option<WallTime>>,
    now: WallTime,
) -> ReportedOutcome {
    let subtype = ended.subtype.as_deref().unwrap_or("success");
    let text = match (&ended.result, &ended.errors) {
        (Some(Value::String(text)), _) if !text.is_empty() => text.clone(),
        (_, Some(errors)) => errors.to_string(),
        _ => subtype.to_owned(),
    };
    if !ended.is_error && subtype == "success" {
        return ReportedOutcome::Succeeded;
    }
    let text = cut(&text);
    if let Some(until) = rejected {
        return ReportedOutcome::Deferred {
            until: until.or_else(|| limit::reset(&text, now)),
            text,
        };
    }
    if ended.api_error_status == Some(429) || limit::is_reached(&text) {
        return ReportedOutcome::Deferred { until: limit::reset(&text, now), text };
    }
    ReportedOutcome::Failed(if subtype == "success" || text == subtype {
        text
    } else {
        cut(&format!("{subtype}: {text}"))
    })
}

/// Adds up what was used: by model and with sub-agents where that is reported, else by the main
/// agent, marked as an estimate.
fn report(
    last: &ResultMessage,
    since: Since,
    run: &AgentRun<'_>,
    notes: &mut Vec<String>,
) -> Option<Report> {
    // Cost is cumulative, so the last line holds all of it.
    let cost = last.total_cost_usd.and_then(millionths);
    let total = last.models.as_ref().map(|models| sum(models.values(), cost.unwrap_or(0)));
    let known = total.unwrap_or(Report { cost: cost.unwrap_or(0), ..Report::default() });
    let earlier = last.session_id.as_deref().and_then(|id| run.charged?.replace(id, known));
    let is_resumed = run.resumed || earlier.is_some();
    // Figures that are lower than before have begun anew.
    let goes_on = |earlier: &Report| known.tokens >= earlier.tokens && known.cost >= earlier.cost;
    let cost_since = known.cost - earlier.filter(goes_on).map_or(0, |earlier| earlier.cost);
    let report = match (total, &last.usage) {
        // Lines that were left out would be missing from a sum.
        _ if !since.is_missing && (run.tail.is_none() || total.is_none()) => {
            let own = since.sum;
            let own = match (is_resumed, since.costs_are_missing) {
                (false, _) => Report { cost: known.cost, ..own },
                (true, false) => own,
                (true, true) if earlier.is_some() => Report { cost: cost_since, ..own },
                (true, true) => Report { cost: part(known, own.tokens), estimated: true, ..own },
            };
            Report { estimated: own.estimated || run.tail.is_some(), ..own }
        }
        (Some(total), usage) if is_resumed => match (earlier, usage) {
            (Some(earlier), _) if goes_on(&earlier) => Report {
                tokens: total.tokens - earlier.tokens,
                cache_tokens: total.cache_tokens.saturating_sub(earlier.cache_tokens),
                cost: cost_since,
                ..total
            },
            (Some(_), _) => total,
            (None, Some(main)) => {
                notes.push(
                    "it resumed a run whose usage is unknown, so usage by sub-agents is \
                    not counted"
                        .to_owned(),
                );
                let own = main.report();
                Report { cost: part(total, own.tokens), ..own }
            }
            (None, None) => {
                notes.push(
                    "it resumed a run whose usage is unknown and may be counted again".to_owned(),
                );
                Report { estimated: true, ..total }
            }
        },
        (Some(total), _) => total,
        (None, Some(main)) => {
            notes.push(
                "usage by model is missing, so usage by sub-agents is not counted".to_owned(),
            );
            Report { cost: cost_since, ..main.report() }
        }
        (None, None) if cost.is_none() => {
            notes.push("the result line has no usage".to_owned());
            return None;
        }
        (None, None) => {
            notes.push("the result line has a cost but no tokens".to_owned());
            Report { cost: cost_since, estimated: true, ..known }
        }
    };
    Some(report)
}

/// The part of a cost that so many of its tokens have, rounded up.
fn part(total: Report, tokens: u64) -> u64 {
    let share = u128::from(total.cost) * u128::from(tokens.min(total.tokens));
    u64::try_from(share.div_ceil(u128::from(total.tokens.max(1)))).unwrap_or(total.cost)
}

fn sum<'a>(models: impl Iterator<Item = &'a Model>, cost: u64) -> Report {
    let mut report = Report { cost, ..Report::default() };
    models.for_each(|model| add(&mut report, model));
    report
}

impl Main {
    /// What the main agent used, which is not all.
    fn report(&self) -> Report {
        let tokens = self
            .input_tokens
            .saturating_add(self.output_tokens)
            .saturating_add(self.cache_creation_input_tokens);
        Report {
            tokens,
            cache_tokens: self.cache_read_input_tokens,
            estimated: true,
            ..Report::default()
        }
    }
}

/// Fresh tokens are input, output and what was written to the cache; what was read from it is told
/// apart.
fn add(report: &mut Report, model: &Model) {
    let fresh = model
        .input_tokens
        .saturating_add(model.output_tokens)
        .saturating_add(model.cache_creation_input_tokens);
    report.tokens = report.tokens.saturating_add(fresh);
    report.cache_tokens = report.cache_tokens.saturating_add(model.cache_read_input_tokens);
}

/// A shape that is not the expected one says as little as an absent one.
trait DeserializeOrDefault {
    fn deserialize_or_default<T: serde::de::DeserializeOwned + Default>(self) -> T;
}

impl DeserializeOrDefault for Value {
    fn deserialize_or_default<T: serde::de::DeserializeOwned + Default>(self) -> T {
        serde_json::from_value(self).unwrap_or_default()
    }
}
