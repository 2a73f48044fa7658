//! Events, actions and receipts as one line each: what decides, and nothing that only a machine
//! compares.

use antiphon_core::coordination::{
    BudgetUsage, Coordination, CoordinationBudget, CoordinationStatus, Counts, Dedup, Ending,
    FailurePolicy, Grant, KeyValue, Need, NextStep, Reused, Runner, SessionOutcome, SkipReason,
    StopCause, WorkItemOutcome, WorkSpec,
};
use antiphon_core::envelope::{CommitTip, Recorded, StreamTip};
use antiphon_core::event::{
    AggregateEvent as _, CoordinationEvent, Event, KeySet, LedgerEvent, Mode, OnExhausted,
    OnTripped, Routed, SessionUnbound, Signalled, Started, StopKind,
};
use antiphon_core::id::{StreamName, WorkId};
use antiphon_core::routing::RoutingDecision;
use antiphon_core::time::{Deadline, LedgerTime, WallTime};
use antiphon_core::world::{Action, AskedQuestion};

use super::words::TICK_RATE_HZ;
use crate::auditor::decoded;

/// Names beyond this many are counted.
const SPELLED_OUT: usize = 6;

/// One event: time, stream, version, type, payload, and who and under which command id where that
/// is not the engine.
pub(crate) fn event(recorded: &Recorded) -> String {
    let stream = match &recorded.stream {
        StreamName::Coordination(id) => id.to_string(),
        other => other.to_string(),
    };
    let kind = recorded.kind.split_once('.').map_or(&*recorded.kind, |(_, kind)| kind).to_owned();
    let payload = payload(&recorded.event().unwrap());
    let mut line = format!("{} {stream} {} {kind}", since(recorded.at), recorded.version);
    if !payload.is_empty() {
        line.push_str(&format!(": {payload}"));
    }
    if recorded.actor.as_str() != "engine" {
        line.push_str(&format!(" <{}>", recorded.actor));
    }
    if let Some(cause) = &recorded.cause {
        line.push_str(&format!(" [{cause}]"));
    }
    line
}

/// Several `work_added` in a row of one stream as one line.
pub(crate) fn additions(events: &[Recorded]) -> String {
    let added = events.iter().flat_map(|event| match decoded(event) {
        CoordinationEvent::WorkAdded(added) => added.items,
        other => panic!("{} adds no work", other.kind()),
    });
    let items: Vec<WorkSpec> = added.collect();
    let last = events[events.len() - 1].version;
    event(&events[0])
        .split(':')
        .next()
        .unwrap_or_default()
        .replace(" work_added", &format!("..{last} work_added: "))
        + &names(items.iter().map(|item| &item.id))
}

fn payload(event: &Event) -> String {
    let event = match event {
        Event::Ledger(LedgerEvent::Opened(opened)) => return format!("epoch {}", opened.epoch),
        Event::Ledger(LedgerEvent::Closed(_)) => return String::new(),
        Event::Ledger(LedgerEvent::Erased(erased)) => return erased.reason.clone(),
        Event::Coordination(event) => event,
        other => panic!("{} has no line", other.kind()),
    };
    match event {
        CoordinationEvent::Started(started) => started_line(started),
        CoordinationEvent::WorkAdded(added) if added.items.len() > SPELLED_OUT => {
            names(added.items.iter().map(|item| &item.id))
        }
        CoordinationEvent::WorkAdded(added) => {
            added.items.iter().map(item).collect::<Vec<_>>().join("; ")
        }
        CoordinationEvent::SessionBound(bound) => {
            let nested = if bound.nested { " nested" } else { "" };
            let context = bound.context.map_or("", |_| " with a context");
            let met = bound.met.iter();
            let met: String = met
                .map(|met| format!(", {} met at {} {}", met.key, met.stream, met.version))
                .collect();
            let assigned = bound.assigned.as_ref();
            let assigned = assigned.map_or_else(String::new, |given| {
                format!(", by {}: {}", given.to, given.reasoning)
            });
            format!(
                "session {} for {}, attempt {}, {}{nested}{context}{met}{assigned}",
                bound.session,
                name(&bound.work),
                bound.attempt,
                grant(&bound.grant)
            )
        }
        CoordinationEvent::SessionUnbound(unbound) => unbound_line(unbound),
        CoordinationEvent::Routed(routed) => routed_line(routed),
        CoordinationEvent::WorkSkipped(skipped) => {
            format!("{}, {}", names(skipped.works.iter()), because(&skipped.because))
        }
        CoordinationEvent::Signalled(sent) => signalled_line(sent),
        CoordinationEvent::KeySet(set) => key_set_line(set),
        CoordinationEvent::Asked(asked) => {
            let until = asked.expires.map(|at| format!(", until {}", since(at)));
            let (id, text, until) = (&asked.id, &asked.question, until.unwrap_or_default());
            format!("{id} {text:?} by {}{until}", asked.by)
        }
        CoordinationEvent::Answered(answered) => {
            let reason = answered.reason.as_deref().map(said).unwrap_or_default();
            let line = format!("{} with {} by {}", answered.id, answered.answer, answered.by);
            format!("{line} {reason}").trim_end().to_owned()
        }
        CoordinationEvent::SessionCleared(cleared) => format!("session {}", cleared.session),
        CoordinationEvent::Paused(paused) => said(&paused.reason),
        CoordinationEvent::Continued(_) => String::new(),
        CoordinationEvent::BudgetRaised(raised) => budget(&raised.budget),
        CoordinationEvent::StopRequested(stop) => {
            let kind = match stop.kind {
                StopKind::Close => "close",
                StopKind::Drain => "drain",
                StopKind::Cancel => "cancel",
                other => no_words(other),
            };
            format!("{kind} {}", said(&stop.why())).trim_end().to_owned()
        }
        CoordinationEvent::Interrupted(interrupted) => {
            let (epoch, swept) = (interrupted.epoch, interrupted.swept);
            let ends = if interrupted.ends_sessions { ", ending sessions" } else { "" };
            let why = said(&interrupted.reason);
            let text = format!("epoch {epoch}, {swept} lost{ends}{} {why}", away(interrupted.away));
            text.trim_end().to_owned()
        }
        CoordinationEvent::Resumed(resumed) => {
            format!("epoch {}, {} lost{}", resumed.epoch, resumed.swept, away(resumed.away))
        }
        CoordinationEvent::WriteRefused(refused) => {
            format!("{} of session {} with fence {}", refused.kind, refused.session, refused.fence)
        }
        CoordinationEvent::Completed(end) => {
            format!("{}, {}; {}; {}", end.stop, end.verdict, usage(&end.usage), totals(&end.totals))
        }
        CoordinationEvent::Aborted(end) => format!(
            "{}, {}; {}; {}",
            end.reason,
            end.verdict,
            usage(&end.usage),
            totals(&end.totals)
        ),
        other => no_words(other),
    }
}

/// A question, with its answer where it has one.
pub(crate) fn asked(asked: &AskedQuestion) -> String {
    let answer = asked.answer.as_ref();
    let answer =
        answer.map(|given| format!(", answered with {} at {}", given.answer, given.version));
    format!("{} asked at {}{}", asked.question, asked.version, answer.unwrap_or_default())
}

fn key_set_line(set: &KeySet) -> String {
    let changes = set.changes.iter().map(|change| match change.value() {
        Some(KeyValue::Here(value)) => format!("{} = {}", change.key, value.as_str()),
        Some(_) => format!("{} = (a blob)", change.key),
        None => format!("{} is gone", change.key),
    });
    let changes: Vec<String> = changes.collect();
    match changes.len() > SPELLED_OUT {
        true => format!("{} keys by {}", changes.len(), set.by),
        false => format!("{} by {}", changes.join(", "), set.by),
    }
}

fn signalled_line(sent: &Signalled) -> String {
    let mut line = format!("{} from {}", sent.kind, sent.from);
    if !sent.to.is_empty() {
        let to: Vec<&str> = sent.to.iter().map(|agent| agent.as_str()).collect();
        line.push_str(&format!(" to {}", to.join(" ")));
    }
    if let Some(about) = &sent.about {
        line.push_str(&format!(" about {about}"));
    }
    if sent.failed {
        line.push_str(", failed");
    }
    if let Some(data) = &sent.data {
        line.push_str(&format!(", {}", data.as_str()));
    }
    if sent.digest.is_some() {
        line.push_str(", data beside it");
    }
    if let Some(Dedup { key, window, cap }) = &sent.dedup {
        let window = std::time::Duration::from_nanos(*window);
        line.push_str(&format!(", once as {key:?} for {window:?} among {cap}"));
    }
    line
}

fn away(ns: u64) -> String {
    if ns == 0 {
        String::new()
    } else {
        format!(", away {:?}", std::time::Duration::from_nanos(ns))
    }
}

/// Whoever adds a variant adds its words.
fn no_words(variant: impl std::fmt::Debug) -> ! {
    panic!("a transcript has no words for {variant:?}")
}

fn started_line(started: &Started) -> String {
    let mode = match started.mode {
        Mode::Closed => "closed",
        Mode::Open => "open",
        other => no_words(other),
    };
    let mut line = format!(
        "{mode}, {} items, width {}, {}",
        started.items,
        started.concurrency,
        budget(&started.budget)
    );
    if started.policies.on_exhausted == OnExhausted::Pause {
        line.push_str(", pauses when exhausted");
    }
    match started.policies.on_tripped {
        OnTripped::Stop => {}
        OnTripped::Pause => line.push_str(", pauses when tripped"),
        OnTripped::Ignore => line.push_str(", without a breaker"),
        other => no_words(other),
    }
    if let Some(forerunner) = &started.forerunner {
        line.push_str(&format!(", retries {}", forerunner.coordination));
    }
    if let Some(parent) = &started.parent {
        line.push_str(&format!(", for {parent} at depth {}", started.depth));
    }
    line
}

fn routed_line(routed: &Routed) -> String {
    let rule = routed.rule.as_ref().map(|rule| format!(" by rule {rule}")).unwrap_or_default();
    let decided = |decision: RoutingDecision, confidence, reasoning: &str| {
        format!("{} at {confidence} {}", decision.as_str(), said(reasoning)).trim_end().to_owned()
    };
    let votes = routed.votes.iter().map(|vote| {
        let said = decided(vote.decision, vote.confidence, &vote.reasoning);
        format!("; {} says {said}", vote.strategy.as_str())
    });
    let votes: String = votes.collect();
    let to: Vec<String> = routed.to.iter().map(name).collect();
    let to = if to.is_empty() { String::new() } else { format!(" to {}", to.join(", ")) };
    let all = decided(routed.decision, routed.confidence, &routed.reasoning);
    format!("session {} for {}, {all}{to}{rule}{votes}", routed.session, name(&routed.work))
}

fn unbound_line(unbound: &SessionUnbound) -> String {
    let outcome = match unbound.outcome {
        SessionOutcome::Deferred { until } => format!("DEFERRED until {}", deadline(until)),
        other => other.as_str().to_owned(),
    };
    let then = match &unbound.then {
        NextStep::Done(outcome) => done(outcome),
        NextStep::Retry(at) => format!("ready at {}", since(*at)),
        NextStep::Wait(until) => format!("waits until {}", deadline(*until)),
        NextStep::Hold => "held until nothing is left".to_owned(),
        other => no_words(other),
    };
    let text = unbound.text.as_ref().map(|text| format!(" {}", said(text))).unwrap_or_default();
    let used = &unbound.used;
    let mut spent = format!("{} in {}", counted(used.sessions.into(), "session"), time(used.ticks));
    for (amount, meter) in
        [(used.tokens, "tokens"), (used.cache_tokens, "cached"), (used.cost, "cost")]
    {
        if amount > 0 {
            spent.push_str(&format!(", {amount} {meter}"));
        }
    }
    if used.estimated {
        spent.push_str(" estimated");
    }
    format!(
        "session {} for {}, {outcome}{text}; {spent}; then {then}",
        unbound.session,
        name(&unbound.work)
    )
}

/// One action.
pub(crate) fn action(action: &Action) -> String {
    match action {
        Action::Spawn(spawn) => format!(
            "> spawn {} for {}, attempt {}, fence {}, until {}",
            spawn.session,
            name(&spawn.spec.id),
            spawn.attempt,
            spawn.fence,
            since(spawn.deadline)
        ),
        Action::Expand { coordination, work, runner } => {
            format!("> expand {work} of {coordination} by {}", runner_name(runner))
        }
        Action::Stop { session, cause } => {
            let cause = match cause {
                StopCause::Timeout => "its time is over",
                StopCause::Ending => "its coordination is ending",
                other => no_words(other),
            };
            format!("> stop {session}: {cause}")
        }
        Action::Ended { coordination, verdict, .. } => format!("> ended {coordination}: {verdict}"),
    }
}

/// A coordination as it stands: status, and every item in one word.
pub(crate) fn state(run: &Coordination) -> String {
    let items: Vec<String> = run
        .work_queue()
        .map(|id| {
            format!("{} {}", name(id), run.work_tracking(id.as_str()).unwrap().state.as_str())
        })
        .collect();
    format!("{}: {}", run.status().as_str().to_lowercase(), items.join(", "))
}

/// What the receipt says of a coordination that ended.
pub(crate) fn receipt(run: &Coordination) -> Vec<String> {
    let ending = match run.status() {
        CoordinationStatus::Completed(stop) => Ending::Completed(stop.clone()),
        CoordinationStatus::Aborted(reason) => Ending::Aborted(reason.clone()),
        other => return vec![format!("none: it is {}", other.as_str().to_lowercase())],
    };
    let (at, wall) = run.last_times();
    let receipt = run.receipt(ending, at, wall, StreamTip::default(), CommitTip::default());
    let mut out =
        vec![format!("{} of {}", usage(&receipt.budget_usage), budget(&receipt.budget_ceiling))];
    for outcome in &receipt.work_outcomes {
        let fate = outcome.final_outcome.as_ref().map_or_else(|| "unfinished".to_owned(), done);
        out.push(format!(
            "{}: {fate}, {}, sessions {:?}",
            name(&outcome.work_id),
            counted(outcome.attempts.into(), "attempt"),
            outcome.sessions
        ));
    }
    for (epoch, engine) in &receipt.evidence.epochs {
        out.push(format!("epoch {epoch} by engine {engine}"));
    }
    for gate in receipt.gates.iter().flat_map(|scores| &scores.gates) {
        out.push(format!("gate {} at {}, set at {}", gate.gate, gate.score, gate.version));
    }
    for given in receipt.approvals.iter().flat_map(|approvals| &approvals.answers) {
        let (question, by) = (&given.question, &given.by);
        out.push(format!("{question} answered with {} by {by} at {}", given.answer, given.version));
    }
    for (kind, count) in receipt.signals.iter().flat_map(|signals| &signals.by_type) {
        out.push(format!("{count} of signal {kind}"));
    }
    for route in receipt.routes.iter().flat_map(|taken| &taken.routes) {
        let (session, decision) = (route.session, route.decision.as_str());
        let rule = route.rule.as_ref().map(|rule| format!(" by rule {rule}")).unwrap_or_default();
        let confidence = route.confidence;
        out.push(format!(
            "session {session} for {} was followed by {decision} at {confidence}{rule}{}",
            name(&route.work_id),
            route.to.iter().map(|to| format!(" to {to}")).collect::<String>()
        ));
    }
    if let Some(reused) = &receipt.reused {
        let digests = reused.chunks.len();
        out.push(format!("retries {}, {digests} digests of items", reused.forerunner.coordination));
        let items = reused.items.iter();
        out.extend(
            items.map(|item| format!("{} is {} there", name(&item.work_id), name(&item.from))),
        );
    }
    for item in receipt.carried_out.iter().flat_map(|carried_out| &carried_out.items) {
        out.push(format!("{} was carried out by session {}", name(&item.work_id), item.session));
    }
    out
}

/// A moment, counted from the beginning.
pub(crate) fn deadline(deadline: Deadline) -> String {
    match deadline {
        Deadline::Ledger(at) => since(at),
        Deadline::Wall(WallTime(wall)) => {
            format!("wall {}", since(LedgerTime(wall - 1_000_000_000_000_000)))
        }
    }
}

pub(crate) fn since(at: LedgerTime) -> String {
    format!("+{}", seconds(at.0))
}

fn time(ticks: u64) -> String {
    seconds(ticks.saturating_mul(1_000_000_000 / TICK_RATE_HZ))
}

fn seconds(nanos: u64) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos / 1_000_000 % 1000);
    if rest == 0 { format!("{whole}s") } else { format!("{whole}.{rest:03}s") }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text:?}") }
}

fn budget(budget: &CoordinationBudget) -> String {
    let mut out = format!(
        "{}/{}",
        counted(budget.max_episodes().into(), "session"),
        time(budget.max_duration_ticks())
    );
    if let Some(tokens) = budget.max_tokens() {
        out.push_str(&format!("/{tokens} tokens"));
    }
    if let Some(cost) = budget.max_cost() {
        out.push_str(&format!("/{cost} cost"));
    }
    out
}

fn grant(grant: &Grant) -> String {
    let mut out =
        format!("granted {}/{}", counted(grant.sessions.into(), "session"), time(grant.ticks));
    if let Some(tokens) = grant.tokens {
        out.push_str(&format!("/{tokens} tokens"));
    }
    if let Some(cost) = grant.cost {
        out.push_str(&format!("/{cost} cost"));
    }
    out
}

fn usage(usage: &BudgetUsage) -> String {
    let mut out = format!(
        "{} in {}",
        counted(usage.consumed_episodes().into(), "session"),
        time(usage.elapsed_ticks())
    );
    let meters = [
        (usage.consumed_tokens(), "tokens"),
        (usage.consumed_cache_tokens(), "cached"),
        (usage.consumed_cost(), "cost"),
    ];
    for (amount, meter) in meters {
        if amount > 0 {
            out.push_str(&format!(", {amount} {meter}"));
        }
    }
    if usage.is_estimated() {
        out.push_str(" estimated");
    }
    out
}

fn totals(totals: &Counts) -> String {
    let sessions = [
        (totals.successful, "successful"),
        (totals.failed, "failed"),
        (totals.cancelled, "cancelled"),
        (totals.lost, "lost"),
        (totals.deferred, "deferred"),
        (totals.resumes, "resumes"),
        (totals.writes_refused, "writes refused"),
    ];
    let items = [
        (totals.work_succeeded, "succeeded"),
        (totals.work_reused, "reused"),
        (totals.work_failed, "failed"),
        (totals.work_skipped_by_rule, "skipped by rule"),
        (totals.work_skipped, "skipped"),
        (totals.work_unfinished, "unfinished"),
        (totals.critical_missed, "critical missed"),
    ];
    let list = |counts: &[(u64, &str)]| {
        let some: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if some.is_empty() { "none".to_owned() } else { some.join(" ") }
    };
    format!("sessions {}; items {}", list(&sessions), list(&items))
}

fn item(spec: &WorkSpec) -> String {
    let mut out = name(&spec.id);
    if !matches!(&spec.runner, Runner::Function(function) if function.as_str() == "work") {
        out.push_str(&format!(" by {}", runner_name(&spec.runner)));
    }
    if !spec.needs.is_empty() {
        let needs: Vec<String> = spec
            .needs
            .iter()
            .map(|need| match need {
                Need::Work(id) => name(id),
                Need::Group(group) => format!("@{group}"),
                Need::Signal(_) | Need::Key(_) | Need::Approval(_) | Need::Routed => {
                    need.to_string()
                }
                other => no_words(other),
            })
            .collect();
        let needs = if needs.len() <= SPELLED_OUT {
            needs.join(" ")
        } else {
            format!("{} items", needs.len())
        };
        out.push_str(&format!(" needs {needs}"));
    }
    for (need, ns) in &spec.need_timeouts {
        out.push_str(&format!(" (need {need} within {})", seconds(*ns)));
    }
    if let Some(group) = &spec.group {
        out.push_str(&format!(" in @{group}"));
    }
    for target in &spec.routes_to {
        out.push_str(&format!(" to {}", name(target)));
    }
    if let Some(visits) = spec.visits {
        out.push_str(&format!(" {visits} visits"));
    }
    if let Some(capable) = &spec.capable {
        let names: Vec<&str> = capable.inputs.keys().map(|name| name.as_str()).collect();
        out.push_str(&format!(" wants {} of {}", capable.wanted, names.join(" ")));
    }
    if spec.priority != 0 {
        out.push_str(&format!(" prio {}", spec.priority));
    }
    if let Some(Reused { from, work, output, files: _, session }) = spec.reused.as_deref() {
        let work = work.as_ref().map(|work| format!("{work} of ")).unwrap_or_default();
        let output = if output.is_some() { " with its output" } else { "" };
        let session = session.as_ref().map(|id| format!(", session {id}")).unwrap_or_default();
        out.push_str(&format!(" from {work}{from}{output}{session}"));
    }
    if spec.critical {
        out.push_str(" critical");
    }
    match spec.on_failure {
        FailurePolicy::SkipDependents => {}
        FailurePolicy::Continue => out.push_str(" continues"),
        FailurePolicy::Abort => out.push_str(" aborts"),
        other => no_words(other),
    }
    out
}

fn runner_name(runner: &Runner) -> String {
    match runner {
        Runner::Function(name) => format!("function {name}"),
        Runner::Plan(name) => format!("plan {name}"),
        Runner::Nested { sessions } => format!("nested plan of {sessions}"),
        Runner::Process { .. } => "process".to_owned(),
        Runner::Caller => "caller".to_owned(),
        other => no_words(other),
    }
}

fn done(outcome: &WorkItemOutcome) -> String {
    match outcome {
        WorkItemOutcome::Skipped(reason) => format!("skipped, {}", because(reason)),
        other => other.as_str().to_owned(),
    }
}

fn because(reason: &SkipReason) -> String {
    match reason {
        SkipReason::NeedFailed(root) => format!("for want of {}", name(root)),
        SkipReason::NeedTimedOut(target) => format!("as {target} was not there in time"),
        SkipReason::Denied(question) => format!("as the answer to {question} was no"),
        SkipReason::NotRouted => "as nothing routed to it".to_owned(),
        SkipReason::NotClaimable => "not claimable".to_owned(),
        SkipReason::Requested => "as requested".to_owned(),
        SkipReason::Rule => "by its own rule".to_owned(),
        other => no_words(other),
    }
}

/// An id without what only makes it long.
fn name(id: &WorkId) -> String {
    let text = id.as_str();
    text.split_once('~').map_or_else(|| text.to_owned(), |(name, _)| format!("{name}~"))
}

fn names<'a>(ids: impl ExactSizeIterator<Item = &'a WorkId>) -> String {
    let count = ids.len();
    let all: Vec<String> = ids.map(name).collect();
    if count <= SPELLED_OUT {
        all.join(" ")
    } else {
        format!("{count} items from {} to {}", all[0], all[count - 1])
    }
}
