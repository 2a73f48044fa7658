//! What the messages of a run have said so far. It does not grow with their number.

use std::collections::{BTreeSet, VecDeque};

use antiphon_core::coordination::Report;
use antiphon_core::time::WallTime;
use serde_json::Value;

use crate::usage::members::{Count, Members, Odd};

/// How members end that a result has and hardly anything else. Text with one of them may be a
/// result that was damaged.
const OF_A_RESULT: [&str; 9] = [
    "type\":\"result\"",
    "result\":",
    "subtype\":",
    "is_error\":",
    "duration_ms\":",
    "num_turns\":",
    "total_cost_usd\":",
    "modelUsage\":",
    "permission_denials\":",
];

/// Names that a result may begin with.
const NAMES: [&str; 16] = [
    "type",
    "subtype",
    "is_error",
    "api_error_status",
    "duration_ms",
    "duration_api_ms",
    "num_turns",
    "result",
    "errors",
    "structured_output",
    "session_id",
    "total_cost_usd",
    "usage",
    "modelUsage",
    "permission_denials",
    "uuid",
];

/// Messages that are known by their id. Those of one id follow each other, but for messages of
/// sub-agents between them.
const KNOWN_MESSAGES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) last: Option<Ended>,
    /// Whether something that may have been another result came after it.
    pub(super) is_last_uncertain: bool,
    /// The figures of all results since the one before each.
    pub(super) since: Since,
    /// What the messages of the agent and its sub-agents used, counted as they came.
    pub(super) steps: Report,
    known: VecDeque<(String, Report)>,
    /// Whether a limit was reached, and until when.
    pub(super) rejected: Option<Option<WallTime>>,
    pub(super) damaged: usize,
    /// Members that were not what they should be.
    pub(super) odd: BTreeSet<&'static str>,
}

/// The message that ends a run; what is not known here does not matter.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) session_id: Option<String>,
    pub(super) subtype: Option<String>,
    pub(super) is_error: Option<bool>,
    /// What it put out, or said of its failure.
    pub(super) output: Option<Value>,
    pub(super) text: Option<String>,
    pub(super) api_error_status: Option<u64>,
    /// In millionths.
    pub(super) cost: Option<u64>,
    /// What the main agent used, which is not all.
    pub(super) main: Option<Report>,
    /// What all models used.
    pub(super) models: Option<Report>,
}

/// Figures that are added up as they come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Since {
    pub(super) sum: Report,
    /// Whether a result had none, and whether one had no cost.
    pub(super) is_missing: bool,
    pub(super) costs_are_missing: bool,
}

impl Heard {
    /// Something was left out here: what was last before it need not have been the last.
    pub(super) fn skip(&mut self) {
        self.is_last_uncertain = true;
    }

    /// An object that cannot be read. After a result it may have been another one, of which only
    /// the beginning is left.
    pub(super) fn take_damaged(&mut self, text: &str) {
        self.damaged += 1;
        let name = text.trim_start_matches(['{', ' ']).strip_prefix('"').unwrap_or_default();
        let name = name.split('"').next().unwrap_or_default();
        let has_name = name.len() > 2 && NAMES.iter().any(|known| known.starts_with(name));
        self.is_last_uncertain |= has_name;
        self.take_other(text);
    }

    /// Text that is part of no object, unless its first brace was lost.
    pub(super) fn take_other(&mut self, text: &str) {
        self.is_last_uncertain |= OF_A_RESULT.iter().any(|member| text.contains(member));
    }

    /// Takes a message, which may be a part of one that was damaged.
    pub(super) fn take(&mut self, object: &str, follows_damage: bool) {
        let Some(message) = Members::of(object) else { return self.take_damaged(object) };
        match message.text("type").ok().flatten().as_deref() {
            Some("result") => {
                self.take_result(&message);
                self.is_last_uncertain &= follows_damage;
            }
            Some("rate_limit_event") => self.take_limit(&message),
            Some("assistant") => self.take_step(&message),
            Some("system" | "user" | "stream_event") => {}
            // Other messages say nothing of usage, unless it is a result that lost its type.
            _ => self.take_other(object),
        }
    }

    fn take_result(&mut self, message: &Members<'_>) {
        let result = self.read(message, "result", Members::value);
        let errors = self.read(message, "errors", Members::value);
        let structured = self.read(message, "structured_output", Members::value);
        let text = match (&result, errors) {
            (Some(Value::String(text)), _) if !text.is_empty() => Some(text.clone()),
            (_, errors) => errors.map(|errors| errors.to_string()),
        };
        let is_error = match message.all("is_error").any(|value| value == "true") {
            true => Some(true),
            false => self.read(message, "is_error", Members::flag),
        };
        let main = self.read(message, "usage", Members::object);
        let models = self.read(message, "modelUsage", Members::object);
        let since = self
            .read(message, "model_usage_since_last_result", Members::object)
            .or_else(|| self.read(message, "modelUsageSinceLastResult", Members::object));
        let ended = Ended {
            session_id: self.read(message, "session_id", Members::text),
            subtype: self.read(message, "subtype", Members::text),
            is_error,
            output: structured.or(result),
            text,
            api_error_status: self
                .read(message, "api_error_status", Members::count)
                .map(Count::saturated),
            cost: self.read(message, "total_cost_usd", Members::amount).map(Count::saturated),
            main: main.map(|usage| self.main_usage(&usage)),
            models: models.map(|models| self.usage_of_models(&models).sum),
        };
        match since {
            None => self.since.is_missing = true,
            Some(models) => {
                let since = self.usage_of_models(&models);
                self.since.costs_are_missing |= since.costs_are_missing;
                add(&mut self.since.sum, since.sum);
            }
        }
        self.last = Some(ended);
    }

    /// Whether a limit was reached. A note on limits comes with every run.
    fn take_limit(&mut self, message: &Members<'_>) {
        let Some(info) = message.object("rate_limit_info").ok().flatten() else { return };
        let says = |name, word: &str| info.text(name).ok().flatten().as_deref() == Some(word);
        let is_using_overage = info.flag("isUsingOverage").ok().flatten().unwrap_or(false);
        if says("status", "rejected") || (is_using_overage && says("overageStatus", "rejected")) {
            let resets = info.count("resetsAt").ok().flatten().map(Count::saturated);
            self.rejected =
                Some(resets.map(|seconds| WallTime(seconds.saturating_mul(1_000_000_000))));
        }
    }

    /// Counts a message of the agent once, however often it is printed while it grows.
    fn take_step(&mut self, step: &Members<'_>) {
        let Some(message) = step.object("message").ok().flatten() else { return };
        let Some(usage) = message.object("usage").ok().flatten() else { return };
        let mut used = self.main_usage(&usage);
        let Some(id) = message.text("id").ok().flatten() else {
            return add(&mut self.steps, used);
        };
        let known = self.known.iter().position(|(known, _)| *known == id);
        let before =
            known.and_then(|at| self.known.remove(at)).map_or(Report::default(), |it| it.1);
        used.tokens = used.tokens.max(before.tokens);
        used.cache_tokens = used.cache_tokens.max(before.cache_tokens);
        self.steps.tokens = self.steps.tokens.saturating_add(used.tokens - before.tokens);
        self.steps.cache_tokens =
            self.steps.cache_tokens.saturating_add(used.cache_tokens - before.cache_tokens);
        self.known.truncate(KNOWN_MESSAGES - 1);
        self.known.push_front((id, used));
    }

    /// One member; an odd one is told, and lost by itself.
    fn read<'a, T>(
        &mut self,
        members: &Members<'a>,
        name: &'static str,
        as_what: impl Fn(&Members<'a>, &str) -> Result<Option<T>, Odd>,
    ) -> Option<T> {
        as_what(members, name).unwrap_or_else(|Odd| {
            self.odd.insert(name);
            None
        })
    }

    fn tokens(&mut self, usage: &Members<'_>, name: &'static str) -> u64 {
        self.read(usage, name, Members::count).map_or(0, Count::saturated)
    }

    /// Fresh tokens are input, output and what was written to the cache; what was read from it is
    /// told apart.
    fn main_usage(&mut self, usage: &Members<'_>) -> Report {
        let fresh = ["input_tokens", "output_tokens", "cache_creation_input_tokens"];
        Report {
            tokens: fresh
                .map(|name| self.tokens(usage, name))
                .into_iter()
                .fold(0, u64::saturating_add),
            cache_tokens: self.tokens(usage, "cache_read_input_tokens"),
            estimated: true,
            ..Report::default()
        }
    }

    /// What models used, with all sub-agents.
    fn usage_of_models(&mut self, models: &Members<'_>) -> Since {
        let mut since = Since::default();
        for (_, written) in models.iter() {
            let Some(usage) = Members::of(written) else {
                self.odd.insert("modelUsage");
                since.sum.estimated = true;
                continue;
            };
            let fresh = ["inputTokens", "outputTokens", "cacheCreationInputTokens"];
            let cost = self.read(&usage, "costUSD", Members::amount).map(Count::saturated);
            since.costs_are_missing |= cost.is_none();
            add(
                &mut since.sum,
                Report {
                    tokens: fresh
                        .map(|name| self.tokens(&usage, name))
                        .into_iter()
                        .fold(0, u64::saturating_add),
                    cache_tokens: self.tokens(&usage, "cacheReadInputTokens"),
                    cost: cost.unwrap_or(0),
                    ..Report::default()
                },
            );
        }
        since
    }
}

fn add(sum: &mut Report, more: Report) {
    sum.tokens = sum.tokens.saturating_add(more.tokens);
    sum.cache_tokens = sum.cache_tokens.saturating_add(more.cache_tokens);
    sum.cost = sum.cost.saturating_add(more.cost);
    sum.estimated |= more.estimated;
}
