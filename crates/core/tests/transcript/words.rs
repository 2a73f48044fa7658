//! The words of a command: `verb name key=value flag key="some text"`, durations, items and
//! configurations.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_core::coordination::{
    Backoff, CapableRunners, CoordinationBudget, CoordinationConfig, Dedup, Expected,
    FailurePolicy, Forerunner, KeyCondition, KeyNeed, KeyWrite, Need, Question, Raise, Reused,
    Route, RouteVote, Runner, Signal, SignalNeed, WorkSpec,
};
use antiphon_core::digest::Digest;
use antiphon_core::event::OnTripped;
use antiphon_core::id::{KeyName, Version, WorkId};
use antiphon_core::json_text::JsonText;
use antiphon_core::routing::{RoutingDecision, RoutingStrategy};

/// Ticks per second in every transcript.
pub(crate) const TICK_RATE_HZ: u64 = 1000;

/// More than a ledger ever lasts.
const MAX_TICKS: u64 = (1 << 53) - 1;

/// One line, taken apart.
pub(crate) struct Words {
    pub(crate) plain: Vec<String>,
    pub(crate) named: BTreeMap<String, String>,
}

impl Words {
    pub(crate) fn parse(line: &str) -> Self {
        let (mut plain, mut named) = (Vec::new(), BTreeMap::new());
        for word in split(line) {
            match word.split_once('=') {
                Some((name, value)) => {
                    named.insert(name.to_owned(), value.to_owned());
                }
                None => plain.push(word),
            }
        }
        Self { plain, named }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)
            .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    }

    pub(crate) fn duration(&self, name: &str) -> Option<u64> {
        self.get(name).map(nanos)
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.plain.iter().any(|word| word == flag)
    }

    pub(crate) fn at(&self, position: usize) -> &str {
        self.plain
            .get(position)
            .unwrap_or_else(|| panic!("a word is missing after {:?}", self.plain))
    }
}

/// Splits at blanks that are not inside quotes.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for char in line.chars().chain([' ']) {
        match char {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    words
}

/// Nanoseconds in `5s`, `250ms` or `2m`.
pub(crate) fn nanos(text: &str) -> u64 {
    let unit = text
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or_else(|| panic!("{text} has no unit"));
    let scale = match &text[unit..] {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        other => panic!("{other} is no unit of time"),
    };
    text[..unit].parse::<u64>().unwrap() * scale
}

fn ticks(nanos: u64) -> u64 {
    nanos / (1_000_000_000 / TICK_RATE_HZ)
}

/// The signal that a line states.
pub(crate) fn signal(words: &Words) -> Result<Signal, String> {
    let kind = words.at(2).parse().map_err(|error| format!("{error}"))?;
    let mut signal = Signal::new(kind).failed(words.has("failed"));
    if let Some(from) = words.get("from") {
        signal = signal.from(from.parse().unwrap());
    }
    for to in words.get("to").into_iter().flat_map(|to| to.split(',')) {
        signal = signal.to(to.parse().unwrap());
    }
    if let Some(about) = words.get("about") {
        signal = signal.about(about.parse().unwrap());
    }
    if let Some(data) = words.get("data") {
        let data = JsonText::new(data.replace('\'', "\"")).map_err(|error| error.to_string())?;
        signal = signal.with_data(data).map_err(|error| error.to_string())?;
    }
    if let Some(bytes) = words.number("bytes") {
        let data = JsonText::new(format!("\"{}\"", "x".repeat(bytes))).unwrap();
        signal = signal.with_data(data).map_err(|error| error.to_string())?;
    }
    if let Some(key) = words.get("key") {
        let mut dedup = Dedup::new(key);
        dedup.window = words.duration("window").unwrap_or(dedup.window);
        dedup.cap = words.number("cap").unwrap_or(dedup.cap);
        signal = signal.once(dedup);
    }
    Ok(signal)
}

/// The question that a line states, after the run: in single words, `text=` for others.
pub(crate) fn question(words: &Words) -> Result<Question, String> {
    let text = match words.number("bytes") {
        Some(bytes) => "x".repeat(bytes),
        None => words.text("text"),
    };
    let mut question = Question::new(text).map_err(|error| error.to_string())?;
    if let Some(id) = words.get("as") {
        question = question.with_id(id.parse().unwrap()).map_err(|error| error.to_string())?;
    }
    Ok(match words.duration("expires") {
        Some(ns) => question.expiring_in(Duration::from_nanos(ns)),
        None => question,
    })
}

/// The changes of keys that lines state: `name value`, `name` alone to remove it, and what is
/// expected of it.
pub(crate) fn writes(lines: &[String]) -> Result<Vec<KeyWrite>, String> {
    let write = |line: &String| {
        let words = Words::parse(line);
        let key = KeyName::new(words.at(0)).map_err(|error| error.to_string())?;
        let write = match (words.get("is"), words.number::<usize>("bytes")) {
            (Some(value), _) => {
                let value = JsonText::new(value.replace('\'', "\"")).map_err(|e| e.to_string())?;
                KeyWrite::set(key, value)
            }
            (None, Some(bytes)) => {
                KeyWrite::set(key, JsonText::new(format!("\"{}\"", "x".repeat(bytes))).unwrap())
            }
            (None, None) => Ok(KeyWrite::delete(key)),
        };
        let write = write.map_err(|error| error.to_string())?;
        Ok(match (words.number("at"), words.has("absent")) {
            (Some(version), _) => write.expecting(Expected::At(Version(version))),
            (None, true) => write.expecting(Expected::Nothing),
            (None, false) => write,
        })
    };
    lines.iter().map(write).collect()
}

/// What comes into being where a signal finds nothing.
pub(crate) fn undeclared() -> CoordinationConfig {
    let budget = CoordinationBudget::new(100, MAX_TICKS, TICK_RATE_HZ, None).unwrap();
    CoordinationConfig::open(Vec::new(), budget).unwrap().with_label("undeclared", "true")
}

/// The ceilings that a line raises.
pub(crate) fn raise(words: &Words) -> Raise {
    let mut raise = Raise::new();
    if let Some(total) = words.number("sessions") {
        raise = raise.sessions(total);
    }
    if let Some(total) = words.duration("duration") {
        raise = raise.within(Duration::from_nanos(total));
    }
    if let Some(total) = words.number("tokens") {
        raise = raise.tokens(total);
    }
    if let Some(total) = words.number("cost") {
        raise = raise.cost(total);
    }
    raise
}

/// The budget that a line states.
fn budget(words: &Words) -> CoordinationBudget {
    let sessions = words.number("sessions").unwrap_or(100);
    let duration = match words.has("ageless") {
        true => MAX_TICKS,
        false => ticks(words.duration("duration").unwrap_or(nanos("10m"))),
    };
    let tokens = words.number("tokens");
    let budget = CoordinationBudget::new(sessions, duration, TICK_RATE_HZ, tokens).unwrap();
    match words.number("cost") {
        Some(cost) => budget.with_max_cost(cost, "EUR"),
        None => budget,
    }
}

/// The configuration that a line and the item lines below it state.
pub(crate) fn config(words: &Words, items: &[String]) -> Result<CoordinationConfig, String> {
    let (work, budget) = (work(items), budget(words));
    let config = if words.has("open") {
        CoordinationConfig::open(work, budget)
    } else {
        CoordinationConfig::of_work(work, budget)
    };
    let mut config = config.map_err(|error| error.to_string())?;
    config = config
        .with_concurrency(words.number("width").unwrap_or(1))
        .map_err(|error| error.to_string())?;
    if let Some((group, width)) = words.get("width-of").and_then(|width| width.split_once(':')) {
        let width = width.parse().unwrap();
        config =
            config.with_width(group.parse().unwrap(), width).map_err(|error| error.to_string())?;
    }
    if let Some(attempts) = words.number("attempts") {
        config = config.with_max_attempts(attempts).map_err(|error| error.to_string())?;
    }
    if let Some(breaker) = words.number("breaker") {
        config = config.with_breaker(breaker).map_err(|error| error.to_string())?;
    }
    config = match words.get("on-tripped") {
        Some("pause") => config.when_tripped(OnTripped::Pause),
        Some("ignore") => config.when_tripped(OnTripped::Ignore),
        _ => config,
    };
    if let Some(run) = words.get("retries") {
        config = config.retrying(Forerunner {
            coordination: run.parse().unwrap(),
            receipt: Digest::of(b"receipt"),
            version: Version(9),
            hash: Digest::of(b"head"),
        });
    }
    if words.get("on-exhausted") == Some("pause") {
        config = config.pausing_when_exhausted();
    }
    Ok(config)
}

/// The items that lines state; `w{1..3}` stands for w1, w2 and w3, and a need on `w*` for all items
/// so far that begin so.
pub(crate) fn work(lines: &[String]) -> Vec<WorkSpec> {
    let mut work: Vec<WorkSpec> = Vec::new();
    for line in lines {
        let words = Words::parse(line);
        for id in ids(words.at(0), words.number("pad").unwrap_or(0)) {
            let item = item(&id, &words, &work);
            work.push(item);
        }
    }
    work
}

fn ids(pattern: &str, pad: usize) -> Vec<String> {
    let padded = |id: String| if pad == 0 { id } else { format!("{id}~{}", "x".repeat(pad)) };
    let Some((head, range)) = pattern.strip_suffix('}').and_then(|pattern| pattern.split_once('{'))
    else {
        return vec![padded(pattern.to_owned())];
    };
    let (first, last) = range.split_once("..").expect("a range has the form {1..3}");
    let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
    (first..=last).map(|number| padded(format!("{head}{number}"))).collect()
}

/// `type`, `type:about:agent` or `type:from:agent`, with `?` at its end if a failed one counts, too.
fn signal_need(text: &str) -> Need {
    let (text, failed) = (text.trim_end_matches('?'), text.ends_with('?'));
    let parts: Vec<&str> = text.split(':').collect();
    let need = SignalNeed::new(parts[0].parse().unwrap());
    let need = match parts[1..] {
        ["about", agent] => need.about(agent.parse().unwrap()),
        ["from", agent] => need.from(agent.parse().unwrap()),
        _ => need,
    };
    Need::from(if failed { need.even_failed() } else { need })
}

/// `name`, `name>800000` or `name:'value'`, with `~` before it if that of all runs counts, too.
fn key_need(text: &str) -> Need {
    let (text, shared) = (text.trim_start_matches('~'), text.starts_with('~'));
    let (name, holds) = match (text.split_once('>'), text.split_once(':')) {
        (Some((name, least)), _) => (name, KeyCondition::AtLeast(least.parse().unwrap())),
        (None, Some((name, value))) => {
            let value = JsonText::new(value.replace('\'', "\"")).unwrap();
            (name, KeyCondition::Equals(value))
        }
        (None, None) => (text, KeyCondition::Exists),
    };
    let need = KeyNeed::new(name.parse().unwrap(), holds);
    Need::from(if shared { need.or_shared() } else { need })
}

fn item(id: &str, words: &Words, there: &[WorkSpec]) -> WorkSpec {
    let runner = match (words.get("plan"), words.number("nested")) {
        (Some(plan), _) => Runner::Plan(plan.parse().unwrap()),
        (None, Some(sessions)) => Runner::Nested { sessions },
        (None, None) if words.has("process") => Runner::Process {
            reports_tokens: words.has("reports"),
            reports_cost: false,
            secrets: words.has("secret"),
        },
        (None, None) => Runner::Function(words.get("fn").unwrap_or("work").parse().unwrap()),
    };
    let mut item = WorkSpec::new(WorkId::new(id).unwrap(), runner);
    for need in words.get("needs").into_iter().flat_map(|needs| needs.split(',')) {
        match (need.strip_prefix('@'), need.strip_suffix('*')) {
            (Some(group), _) => item.needs.push(Need::Group(group.parse().unwrap())),
            (None, Some(head)) => {
                let all = there.iter().filter(|other| other.id.as_str().starts_with(head));
                item.needs.extend(all.map(|other| Need::Work(other.id.clone())));
            }
            (None, None) => item.needs.push(Need::Work(WorkId::new(need).unwrap())),
        }
    }
    item.needs.extend(words.get("signal").map(signal_need));
    item.needs.extend(words.get("key").into_iter().flat_map(|keys| keys.split(',')).map(key_need));
    item.needs.extend(words.get("approval").map(|text| Need::Approval(text.to_owned())));
    item.needs.extend(words.has("routed").then_some(Need::Routed));
    let targets = words.get("routes_to").into_iter().flat_map(|all| all.split(','));
    item.routes_to = targets.map(|target| target.parse().unwrap()).collect();
    item.visits = words.number("visits");
    let timeouts = words.get("timeouts").into_iter().flat_map(|all| all.split(','));
    item.need_timeouts = timeouts
        .map(|timeout| timeout.split_once(':').expect("a time-out has the form 0:5s"))
        .map(|(need, time)| (need.parse().unwrap(), nanos(time)))
        .collect();
    item.group = words.get("group").map(|group| group.parse().unwrap());
    item.priority = words.number("prio").unwrap_or(0);
    item.agent = words.get("as").map(|agent| agent.parse().unwrap());
    item.critical = words.has("critical");
    item.shared = words
        .get("lent")
        .into_iter()
        .flat_map(|keys| keys.split(','))
        .map(|key| key.parse().unwrap())
        .collect();
    if !matches!(item.runner, Runner::Function(_) | Runner::Plan(_)) && !words.has("undescribed") {
        item.input = Some(Digest::of(id.as_bytes()));
    }
    item.capable = words.get("wants").map(|wants| {
        let names = words.get("of").into_iter().flat_map(|names| names.split(','));
        Box::new(CapableRunners {
            wanted: wants.split('+').map(|name| name.parse().unwrap()).collect(),
            inputs: names
                .map(|name| (name.parse().unwrap(), Digest::of(name.as_bytes())))
                .collect(),
        })
    });
    item.attempts = words.number("attempts");
    item.backoff = words.duration("backoff").map(|initial_ns| {
        Box::new(Backoff {
            initial_ns,
            factor: words.number("factor").unwrap_or(2),
            cap_ns: words.duration("cap").unwrap_or(u64::MAX),
            jitter_ppm: 0,
        })
    });
    item.timeout_ticks = words.duration("timeout").map(ticks);
    item.reused = words.get("from").map(|from| {
        let (run, work) =
            from.split_once('/').map_or((from, None), |(run, work)| (run, Some(work)));
        Box::new(Reused {
            from: run.parse().unwrap(),
            work: work.map(|work| WorkId::new(work).unwrap()),
            output: words.has("output").then(|| Digest::of(id.as_bytes())),
            files: None,
            session: words.get("session").map(|session| session.parse().unwrap()),
        })
    });
    item.max_tokens = words.number("tokens");
    item.max_cost = words.number("cost");
    item.on_failure = match words.get("on-failure") {
        None | Some("skip") => FailurePolicy::SkipDependents,
        Some("continue") => FailurePolicy::Continue,
        Some("abort") => FailurePolicy::Abort,
        Some(other) => panic!("{other} is no failure policy"),
    };
    item
}

/// What was decided to follow an attempt; `votes=` names the decisions of as many routers.
pub(crate) fn route(words: &Words) -> Option<Route> {
    let decision = |name: &str| RoutingDecision::named(name).unwrap();
    let mut route = Route::new(decision(words.get("route")?), words.text("reason"));
    let to = words.get("to").into_iter().flat_map(|to| to.split(','));
    route.to = to.map(|target| target.parse().unwrap()).collect();
    route.confidence = words.number("confidence").unwrap_or(route.confidence);
    route.rule = words.get("rule").map(|rule| rule.parse().unwrap());
    let strategies = [RoutingStrategy::Conditional, RoutingStrategy::StateAnalysis];
    let votes = words.get("votes").into_iter().flat_map(|votes| votes.split(','));
    route.votes = votes
        .zip(strategies)
        .map(|(vote, strategy)| RouteVote {
            strategy,
            decision: decision(vote),
            confidence: 500_000,
            reasoning: String::new(),
        })
        .collect();
    Some(route)
}
