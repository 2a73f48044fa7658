//! Why an item does not run.

use std::collections::BTreeMap;

use antiphon::coordination::{Blocked, WorkStage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::secrets::RunSecrets;

/// Why an item does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct Reasons {
    pub run: String,
    pub work: String,
    /// Everything that keeps the item from running; empty if it starts at the next turn.
    pub reasons: Vec<Why>,
}

/// One thing that keeps an item from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// A word for it, which never changes its meaning.
    pub reason: String,
    /// A sentence for it.
    pub text: String,
    /// What it is about: items, groups, sessions, meters.
    #[serde(flatten)]
    pub about: BTreeMap<String, Value>,
}

impl Why {
    /// One reason; `secrets` are those of the item's run.
    #[must_use]
    pub fn of(blocked: &Blocked, secrets: &RunSecrets) -> Self {
        let (reason, about) = match blocked {
            Blocked::Starting { recorded, announced } => {
                ("starting", json!({ "recorded": recorded, "announced": announced }))
            }
            Blocked::NeedsWork { work, state } => {
                ("needs_work", json!({ "work": work, "state": state }))
            }
            Blocked::NeedsGroup { group, unfinished } => {
                ("needs_group", json!({ "group": group, "unfinished": unfinished }))
            }
            Blocked::GroupFailed { group, work } => {
                ("group_failed", json!({ "group": group, "work": work }))
            }
            Blocked::NeedsSignal { need, failed, items } => {
                let items: Vec<_> = items
                    .iter()
                    .map(|(item, state)| json!({ "item": item, "state": state }))
                    .collect();
                ("needs_signal", json!({ "need": need, "failed": failed, "items": items }))
            }
            Blocked::NeedsKey { need, value, shared } => {
                let mut members = json!({ "need": need, "value": value });
                if need.looks_at_shared() {
                    members["shared"] = json!(shared);
                }
                ("needs_key", members)
            }
            Blocked::NeedsApproval { question, asked } => {
                ("needs_approval", json!({ "question": question, "asked": asked }))
            }
            Blocked::NeedsRoute { by } => {
                let items = by.iter().map(|(item, state)| json!({ "item": item, "state": state }));
                ("needs_route", json!({ "items": items.collect::<Vec<_>>() }))
            }
            Blocked::Skipped { because } => ("skipped", json!({ "because": because })),
            Blocked::Decided { session, decision, to, rule, reason: _ } => {
                let (session, decision) = (session.to_string(), decision.as_str());
                (
                    "decided",
                    json!({ "session": session, "decision": decision, "to": to, "rule": rule }),
                )
            }
            Blocked::TimesOut { need, until } => {
                ("times_out", json!({ "need": need, "until": until }))
            }
            Blocked::Delayed { until } => ("delayed", json!({ "until": until })),
            Blocked::Running { session, attempt } => {
                ("running", json!({ "session": session.to_string(), "attempt": attempt }))
            }
            Blocked::AwaitingRoom { session, what } => {
                ("awaiting_room", json!({ "session": session.to_string(), "what": what }))
            }
            Blocked::NestedPaused { coordination, .. } => {
                ("nested_paused", json!({ "run": coordination }))
            }
            Blocked::Finished { outcome } => ("finished", json!({ "outcome": outcome })),
            Blocked::TakenOver { from, work, session } => {
                let outcome = WorkStage::Succeeded.as_str();
                let mut members = json!({ "outcome": outcome, "from": from, "work": work });
                if let Some(session) = session {
                    members["session"] = session.to_string().into();
                }
                ("taken_over", members)
            }
            Blocked::Retried { of, .. } => ("retried", json!({ "of": of })),
            Blocked::Paused { .. } => ("paused", json!({})),
            Blocked::Stopping { .. } => ("stopping", json!({})),
            Blocked::Ended => ("ended", json!({})),
            Blocked::NoSlot { concurrency, held_by } => {
                ("no_slot", json!({ "concurrency": concurrency, "held_by": held_by }))
            }
            Blocked::NothingToGrant { meter, held_by } => {
                ("nothing_to_grant", json!({ "meter": meter, "held_by": held_by }))
            }
            Blocked::GroupFull { group, held_by } => {
                ("group_full", json!({ "group": group, "held_by": held_by }))
            }
            Blocked::AwaitingCleanup { session, left } => {
                ("awaiting_cleanup", json!({ "session": session.to_string(), "left": left }))
            }
            Blocked::NoSecrets => ("no_secrets", json!({ "secrets": names(secrets) })),
            Blocked::Interrupted { .. } => ("interrupted", json!({})),
            Blocked::NoRunner { runner } => ("no_runner", json!({ "runner": runner })),
            Blocked::Expanding => ("expanding", json!({})),
            Blocked::Behind { work } => ("behind", json!({ "work": work })),
            // A reason that this table does not have yet still has its sentence.
            _ => ("other", json!({})),
        };
        let about = match about {
            Value::Object(about) => about.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        let text = match blocked {
            Blocked::NoSecrets => format!("{blocked}; {} continues it", secrets.brought_by()),
            blocked => blocked.to_string(),
        };
        Self { reason: reason.to_owned(), text, about }
    }
}

fn names(secrets: &RunSecrets) -> Vec<&str> {
    secrets.secrets.iter().map(|secret| secret.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use antiphon::coordination::{
        KeyCondition, KeyNeed, NeedTarget, SignalNeed, SkipReason, StopCondition,
    };
    use antiphon::id::{SessionId, WorkId};
    use antiphon::plan::{SecretFrom, SecretSource};
    use antiphon::routing::RoutingDecision;
    use antiphon::time::{Deadline, LedgerTime};

    use super::*;

    #[test]
    fn every_reason_has_a_word_and_says_what_it_is_about() -> Result<(), Box<dyn std::error::Error>>
    {
        let work = WorkId::new("models")?;
        let session: SessionId = "build.3".parse()?;
        let (group, held_by, held) = ("checks".to_owned(), vec![session.clone()], session.clone());
        let reasons = [
            (
                Blocked::Starting { recorded: 1, announced: 2 },
                r#""starting",{"announced":2,"recorded":1}"#,
            ),
            (
                Blocked::NeedsSignal {
                    need: SignalNeed::new("review.done".parse()?),
                    failed: None,
                    items: vec![(work.clone(), "running")],
                },
                r#""needs_signal",{"failed":null,"items":[{"item":"models","state":"running"}],"need":{"type":"review.done"}}"#,
            ),
            (
                Blocked::NeedsKey {
                    need: KeyNeed::new("state/phase".parse()?, KeyCondition::Exists),
                    value: None,
                    shared: None,
                },
                r#""needs_key",{"need":{"holds":"exists","key":"state/phase"},"value":null}"#,
            ),
            (
                Blocked::NeedsKey {
                    need: KeyNeed::new("state/phase".parse()?, KeyCondition::Exists).or_shared(),
                    value: None,
                    shared: Some("1".to_owned()),
                },
                r#""needs_key",{"need":{"holds":"exists","key":"state/phase","of":"shared"},"shared":"1","value":null}"#,
            ),
            (
                Blocked::NeedsApproval {
                    question: "Deploy?".to_owned(),
                    asked: Some("q7".parse()?),
                },
                r#""needs_approval",{"asked":"q7","question":"Deploy?"}"#,
            ),
            (
                Blocked::NeedsRoute { by: vec![(work.clone(), "running")] },
                r#""needs_route",{"items":[{"item":"models","state":"running"}]}"#,
            ),
            (
                Blocked::Skipped { because: SkipReason::NotRouted },
                r#""skipped",{"because":"not_routed"}"#,
            ),
            (
                Blocked::Decided {
                    session: session.clone(),
                    decision: RoutingDecision::Retry,
                    to: Vec::new(),
                    rule: Some("short".to_owned()),
                    reason: "it is too short".to_owned(),
                },
                r#""decided",{"decision":"retry","rule":"short","session":"build.3","to":[]}"#,
            ),
            (
                Blocked::TimesOut {
                    need: NeedTarget::Key("state/phase".parse()?),
                    until: Deadline::Ledger(LedgerTime(5)),
                },
                r#""times_out",{"need":{"key":"state/phase"},"until":{"at":5}}"#,
            ),
            (
                Blocked::NeedsWork { work: work.clone(), state: "running" },
                r#""needs_work",{"state":"running","work":"models"}"#,
            ),
            (
                Blocked::NeedsGroup { group: group.clone(), unfinished: 3 },
                r#""needs_group",{"group":"checks","unfinished":3}"#,
            ),
            (
                Blocked::GroupFailed { group, work: work.clone() },
                r#""group_failed",{"group":"checks","work":"models"}"#,
            ),
            (
                Blocked::Delayed { until: Deadline::Ledger(LedgerTime(5)) },
                r#""delayed",{"until":{"at":5}}"#,
            ),
            (
                Blocked::Running { session, attempt: 2 },
                r#""running",{"attempt":2,"session":"build.3"}"#,
            ),
            (
                Blocked::NestedPaused {
                    coordination: "build.3".parse()?,
                    reason: "lunch".to_owned(),
                },
                r#""nested_paused",{"run":"build.3"}"#,
            ),
            (Blocked::Finished { outcome: "succeeded" }, r#""finished",{"outcome":"succeeded"}"#),
            (
                Blocked::TakenOver { from: "nightly".parse()?, work: work.clone(), session: None },
                r#""taken_over",{"from":"nightly","outcome":"succeeded","work":"models"}"#,
            ),
            (
                Blocked::TakenOver {
                    from: "nightly@2".parse()?,
                    work: work.clone(),
                    session: Some("nightly.3".parse()?),
                },
                r#""taken_over",{"from":"nightly@2","outcome":"succeeded","session":"nightly.3","work":"models"}"#,
            ),
            (
                Blocked::Retried { of: "nightly".parse()?, reason: "it failed".to_owned() },
                r#""retried",{"of":"nightly"}"#,
            ),
            (Blocked::Paused { reason: "lunch".to_owned() }, r#""paused",{}"#),
            (Blocked::Stopping { stop: StopCondition::AllWorkCompleted }, r#""stopping",{}"#),
            (Blocked::Ended, r#""ended",{}"#),
            (
                Blocked::NoSlot { concurrency: 1, held_by: held_by.clone() },
                r#""no_slot",{"concurrency":1,"held_by":["build.3"]}"#,
            ),
            (
                Blocked::NothingToGrant { meter: "tokens", held_by },
                r#""nothing_to_grant",{"held_by":["build.3"],"meter":"tokens"}"#,
            ),
            (
                Blocked::GroupFull { group: "cells".to_owned(), held_by: vec![held.clone()] },
                r#""group_full",{"group":"cells","held_by":["build.3"]}"#,
            ),
            (
                Blocked::AwaitingRoom { session: held.clone(), what: "no room".to_owned() },
                r#""awaiting_room",{"session":"build.3","what":"no room"}"#,
            ),
            (
                Blocked::AwaitingCleanup { session: held, left: vec!["process 7".to_owned()] },
                r#""awaiting_cleanup",{"left":["process 7"],"session":"build.3"}"#,
            ),
            (Blocked::NoSecrets, r#""no_secrets",{"secrets":["API_KEY"]}"#),
            (Blocked::Interrupted { reason: "Ctrl-C".to_owned() }, r#""interrupted",{}"#),
            (
                Blocked::NoRunner { runner: "plan p".to_owned() },
                r#""no_runner",{"runner":"plan p"}"#,
            ),
            (Blocked::Expanding, r#""expanding",{}"#),
            (Blocked::Behind { work }, r#""behind",{"work":"models"}"#),
        ];
        let key = SecretSource { name: "API_KEY".to_owned(), from: SecretFrom::Variable };
        let secrets = RunSecrets::of(&"build.3".parse()?, vec![key]);
        for (blocked, expected) in reasons {
            let Why { reason, text, about } = Why::of(&blocked, &secrets);
            assert_eq!(format!("{},{}", json!(reason), json!(about)), expected);
            let advice = match blocked {
                Blocked::NoSecrets => "; `antiphon resume build`, with API_KEY set, continues it",
                _ => "",
            };
            assert_eq!(text, format!("{blocked}{advice}"));
        }
        let unknown = RunSecrets::of(&"build".parse()?, Vec::new());
        assert_eq!(
            Why::of(&Blocked::NoSecrets, &unknown).text,
            "it waits for its secrets, which are never recorded; `antiphon run PLAN --id build`, which \
             brings its secrets, continues it"
        );
        Ok(())
    }
}
