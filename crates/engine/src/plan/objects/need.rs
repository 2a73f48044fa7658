//! `needs:`: what an item waits for: items, groups and matrices by name, and signals, gates, keys and
//! approvals.

use super::process_text;
use crate::approvals::Question;
use crate::coordination::{KeyCondition, KeyNeed, Need, SignalNeed};
use crate::keys::{JsonText, KeyName, millionths};
use crate::plan::mapping::{Fields, Object, ValueKind, key};
use crate::plan::resolve::{NeedText, Wanted, WantedAgent};
use crate::plan::text::{DiagnosticCode, Diagnostics, Node, Span, Spanned, Template, Yaml};
use crate::signals::SignalType;

pub(super) const NEEDS: ValueKind =
    ValueKind::List(&ValueKind::Either(&[ValueKind::Template, ValueKind::Of(&NEED)]));

pub(super) static NEED: Object = Object {
    name: "need",
    what: "a need",
    keys: &[
        key(
            "item",
            ValueKind::Template,
            "item: models",
            "The item, group or matrix that must succeed, where a `timeout` stands beside it.",
        ),
        key(
            "signal",
            ValueKind::Text,
            "signal: review_done",
            "The type of a signal that must be there, whether it comes before or later.",
        ),
        key(
            "about",
            ValueKind::Template,
            "about: reviewer",
            "With `signal`: the agent that it must be about.",
        ),
        key(
            "from",
            ValueKind::Template,
            "from: reviewer",
            "With `signal`: the agent that must have sent it, instead of `about`.",
        ),
        key(
            "success",
            ValueKind::Flag,
            "success: false",
            "With `signal`: whether one that tells of a failure does not count (`true`, the default).",
        ),
        key(
            "gate",
            ValueKind::Text,
            "gate: coverage",
            "The gate whose score must be `at_least` so much when it starts.",
        ),
        key(
            "key",
            ValueKind::Text,
            "key: state/phase",
            "The key of the run that must be there when it starts, or be what `equals` or `at_least` \
            says.",
        ),
        key(
            "approval",
            ValueKind::Template,
            "approval: Deploy to production?",
            "The question that a person must answer with yes (`antiphon approve`). It is asked once all \
            items that are needed are done, and once for all items of the run that need the same. With no \
            it is skipped.",
        ),
        key(
            "at_least",
            ValueKind::Text,
            "at_least: 0.8",
            "The lowest number that is enough, with at most six digits behind its point.",
        ),
        key(
            "equals",
            ValueKind::Text,
            "equals: tests",
            "With `key`: the text, number or truth value that it must be.",
        ),
        key(
            "of",
            ValueKind::Word(&["shared"]),
            "of: shared",
            "With `gate` or `key`: where that of the run does not meet it, the one of the run `shared` may.",
        ),
        key(
            "timeout",
            ValueKind::Duration,
            "timeout: 10m",
            "How long it is waited for, once all items that are needed are done. After that the \
            item is skipped.",
        ),
    ],
    later: &["lease", "route"],
    open: false,
};

/// What an entry of `needs` can be about.
const SUBJECTS: [&str; 5] = ["item", "signal", "gate", "key", "approval"];

/// What only goes with some of them.
const PARTS: [(&str, &[&str]); 6] = [
    ("about", &["signal"]),
    ("from", &["signal"]),
    ("success", &["signal"]),
    ("at_least", &["gate", "key"]),
    ("equals", &["key"]),
    ("of", &["gate", "key"]),
];

pub(super) fn read_all(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Vec<NeedText> {
    let needs = diagnostics.list(node, "needs").unwrap_or_default();
    needs.iter().filter_map(|need| read(need, diagnostics)).collect()
}

fn read(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<NeedText> {
    let Yaml::Map(entries) = &node.value else {
        let wants = Wanted::Named(process_text::template(node, diagnostics)?);
        return Some(NeedText::new(wants, None));
    };
    let fields = Fields::read(node, &NEED, diagnostics)?;
    let timeout = match fields.get("timeout") {
        None => None,
        Some(node) => Some(diagnostics.duration(node)?),
    };
    let wants = match fields.present(&SUBJECTS).as_slice() {
        [subject] => {
            let subject = *subject;
            let mut fits = true;
            for (part, of) in PARTS {
                if let Some(node) = fields.get(part)
                    && !of.contains(&subject)
                {
                    let message = format!("`{part}` cannot be used with `{subject}`");
                    let hint = format!("`{part}` belongs to `{}`", of.join("` or `"));
                    diagnostics.error(DiagnosticCode::Conflict, node.span, message).hint(hint);
                    fits = false;
                }
            }
            let wants = wanted(subject, &fields, node.span, diagnostics);
            wants.filter(|_| fits)
        }
        // What is there instead was reported.
        [] if fields.present(&NEED.names()).len() < entries.len() => None,
        [] => {
            let message = "a need names an `item`, a `signal`, a `gate`, a `key` or an `approval`";
            diagnostics.error(DiagnosticCode::MissingKey, node.span, message);
            None
        }
        several => {
            let message = format!("a need is one thing, but this names `{}`", several.join("`, `"));
            let hint = "write one entry for each";
            diagnostics.error(DiagnosticCode::Conflict, node.span, message).hint(hint);
            None
        }
    };
    Some(NeedText::new(wants?, timeout))
}

fn wanted(
    subject: &str,
    fields: &Fields<'_>,
    span: Span,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Wanted> {
    let named = fields.get(subject)?;
    Some(match subject {
        "item" => Wanted::Named(process_text::template(named, diagnostics)?),
        "signal" => {
            let (signal, agent) = signal(named, fields, diagnostics)?;
            Wanted::Signal(signal, agent, span)
        }
        "approval" => Wanted::Approval(approval(named, diagnostics)?),
        "gate" => {
            let gate = diagnostics.text(named)?;
            let key =
                key_name(&Spanned::new(format!("gate/{}", gate.value), gate.span), diagnostics);
            let Some(least) = fields.get("at_least") else {
                let message = "a need on a gate says `at_least` how much";
                let hint = "for instance `at_least: 0.8`";
                diagnostics.error(DiagnosticCode::MissingKey, named.span, message).hint(hint);
                return None;
            };
            let holds = KeyCondition::AtLeast(number(least, diagnostics)?);
            Wanted::Event(Need::from(owned(KeyNeed::new(key?, holds), fields, diagnostics)?), span)
        }
        _ => {
            let key = diagnostics.text(named).and_then(|name| key_name(&name, diagnostics));
            let holds = match (fields.get("at_least"), fields.get("equals")) {
                (Some(_), Some(node)) => {
                    let message = "`equals` cannot be used beside `at_least`";
                    diagnostics.error(DiagnosticCode::Conflict, node.span, message);
                    return None;
                }
                (Some(least), None) => KeyCondition::AtLeast(number(least, diagnostics)?),
                (None, Some(value)) => KeyCondition::Equals(scalar(value, diagnostics)?),
                (None, None) => KeyCondition::Exists,
            };
            Wanted::Event(Need::from(owned(KeyNeed::new(key?, holds), fields, diagnostics)?), span)
        }
    })
}

/// A need on a key of those that it says.
fn owned(need: KeyNeed, fields: &Fields<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<KeyNeed> {
    match fields.get("of") {
        None => Some(need),
        Some(of) => diagnostics.choice(of, &[("shared", ())]).map(|()| need.or_shared()),
    }
}

fn signal(
    named: &Node,
    fields: &Fields<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(SignalNeed, Option<WantedAgent>)> {
    let kind = diagnostics.text(named)?;
    let kind = match SignalType::new(&kind.value) {
        Ok(kind) => Some(kind),
        Err(error) => {
            diagnostics.error(DiagnosticCode::BadId, kind.span, error.to_string());
            None
        }
    };
    if let (Some(_), Some(node)) = (fields.get("about"), fields.get("from")) {
        let message = "`from` cannot be used beside `about`";
        diagnostics.error(DiagnosticCode::Conflict, node.span, message);
        return None;
    }
    let mut wanted = SignalNeed::new(kind?);
    let agent = match (fields.get("about"), fields.get("from")) {
        (Some(node), _) => Some(WantedAgent::About(process_text::template(node, diagnostics)?)),
        (None, Some(node)) => Some(WantedAgent::From(process_text::template(node, diagnostics)?)),
        (None, None) => None,
    };
    if let Some(node) = fields.get("success")
        && !diagnostics.flag(node)?
    {
        wanted = wanted.even_failed();
    }
    Some((wanted, agent))
}

fn approval(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<Spanned<Template>> {
    let question = diagnostics.text(node)?;
    if let Err(error) = Question::new(question.value.as_str()) {
        diagnostics.error(DiagnosticCode::BadValue, question.span, error.to_string());
        return None;
    }
    process_text::template(node, diagnostics)
}

fn key_name(name: &Spanned<String>, diagnostics: &mut Diagnostics<'_>) -> Option<KeyName> {
    if name.value.contains("{{") {
        let message = "placeholders cannot be used in the names of gates and keys";
        diagnostics.error(DiagnosticCode::BadPlaceholder, name.span, message);
        return None;
    }
    let key = KeyName::new(&name.value).map_err(|error| error.to_string());
    key.map_err(|error| diagnostics.error(DiagnosticCode::BadId, name.span, error)).ok()
}

fn number(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<i64> {
    let text = diagnostics.text(node)?;
    match millionths(&text.value) {
        Ok(number) => Some(number),
        Err(error) => {
            let message = format!("`{}` is not a number to compare with: {error}", text.value);
            diagnostics.error(DiagnosticCode::BadValue, text.span, message);
            None
        }
    }
}

/// A text, number or truth value as JSON.
fn scalar(node: &Node, diagnostics: &mut Diagnostics<'_>) -> Option<JsonText> {
    let json = match &node.value {
        // What reads as JSON without quotes is what it reads as.
        Yaml::Plain(text) => match JsonText::new(text.as_str()) {
            Ok(json) => Some(json),
            Err(_) => JsonText::new(serde_json::Value::from(text.as_str()).to_string()).ok(),
        },
        Yaml::Quoted(text) => {
            JsonText::new(serde_json::Value::from(text.as_str()).to_string()).ok()
        }
        _ => None,
    };
    if json.is_none() {
        diagnostics.wrong_type(node, "a text, a number or a truth value");
    }
    json
}
