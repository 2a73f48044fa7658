//! Every promise, broken once: what an engine really recorded is written again with one thing
//! wrong, and the checker says what it is.

mod told;

use std::collections::BTreeMap;

use antiphon::append::{Append, HeadRow};
use antiphon::coordination::{
    Backoff, Coordination, CoordinationBudget, CoordinationConfig, Reused, Verdict, WorkSpec,
};
use antiphon::digest::Digest;
use antiphon::envelope::{Blob, Commit, Payload, Recorded, StreamTip};
use antiphon::event::{AggregateEvent as _, CoordinationEvent, StopKind};
use antiphon::id::{CommandId, CoordinationId, Seq, SessionId, StreamName, Version};
use antiphon::ledger::verify::Scope;
use antiphon::ledger::{Location, Owner};
use antiphon::replay::Replay;
use antiphon::time::WallTime;
use antiphon::{Engine, Failed, Output, SessionContext};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::findings::Findings;
use super::ledger::ReadLedger;
use super::record::Record;
use super::told::ToldRecord;
use super::*;
use crate::torture::journal::{Entry, JournalWriter};
use crate::torture::process_trace::{Observation, SessionFacts};
use crate::torture::processes::ProcessIdentity;

/// Events read at a time; there are fewer.
const PAGE: usize = 4_000;

/// A ledger that an engine has left.
struct SampleLedger {
    dir: TempDir,
    events: Vec<Recorded>,
    receipt: Option<Vec<u8>>,
}

/// Coordination `c`: `a` is added by a command, fails, is tried again and succeeds. It may have
/// ended.
fn left(ended: bool) -> SampleLedger {
    let dir = tempfile::tempdir().unwrap();
    let id: CoordinationId = "c".parse().unwrap();
    let receipt = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut setup = Engine::builder(dir.path().join("state")).unwrap();
        setup
            .register("work", |session: SessionContext| async move {
                if session.attempt() == 1 {
                    Err(Failed::because("not yet"))
                } else {
                    Ok(Output::none())
                }
            })
            .unwrap();
        let engine = setup.start().await.unwrap();
        let budget = CoordinationBudget::new(10, 600_000, 1_000, None).unwrap();
        engine
            .submit(CoordinationConfig::open(vec![], budget).unwrap().with_id("c").unwrap())
            .await
            .unwrap();
        let at_once = Backoff { initial_ns: 1, factor: 1, cap_ns: 1, jitter_ppm: 0 };
        let work = vec![WorkSpec::function("a", "work").unwrap().with_backoff(at_once)];
        let mut events = engine.run(&id).unwrap().follow().await.unwrap();
        engine.run(&id).unwrap().once("add-0").unwrap().add_work(work).await.unwrap();
        while events.next().await.unwrap().unwrap().version < Version(6) {}
        let receipt = if ended {
            engine.run(&id).unwrap().close("closed").await.unwrap();
            let ended = engine.run(&id).unwrap().wait().await.unwrap();
            engine.blob(ended.receipt).await.unwrap()
        } else {
            None
        };
        engine.close().await.unwrap();
        receipt
    });
    let store = Location::directory(dir.path().join("state")).store();
    let events =
        store.read_all(Seq(0), PAGE).unwrap().into_iter().map(|placed| placed.event).collect();
    SampleLedger { dir, events, receipt }
}

impl SampleLedger {
    /// What a victim would have journaled.
    fn journal(&self) -> Vec<Entry> {
        let mut journal =
            vec![Entry::Opened { pid: 1 }, Entry::Submitted { id: "c".parse().unwrap() }];
        for event in &self.events {
            let StreamName::Coordination(id) = &event.stream else { continue };
            let (version, pid) = (event.version, 1);
            if let Some(command) = event.cause.clone() {
                journal.push(Entry::Added { id: id.clone(), command, version });
            }
            let session = |number| SessionId { coordination: id.clone(), number };
            match CoordinationEvent::of(event).unwrap() {
                CoordinationEvent::SessionBound(bound) => journal.push(Entry::Began {
                    session: session(bound.session),
                    work: bound.work,
                    fence: version,
                    attempt: bound.attempt,
                    pid,
                    at_ns: version.0 * 100,
                }),
                CoordinationEvent::SessionUnbound(unbound) => {
                    journal.push(Entry::Left {
                        session: session(unbound.session),
                        work: unbound.work,
                        pid,
                        at_ns: version.0 * 100,
                    });
                }
                CoordinationEvent::Completed(completed) => {
                    journal.push(Entry::Ended {
                        id: id.clone(),
                        verdict: completed.verdict,
                        receipt: completed.receipt,
                    });
                }
                _ => {}
            }
            journal.push(Entry::Delivered { id: id.clone(), version, hash: event.hash });
        }
        journal.push(Entry::Closed { pid: 1 });
        journal
    }

    /// The same ledger with other events, linked anew: what a store accepts that knows nothing of
    /// coordinations.
    fn rewritten(&self, edit: impl FnOnce(&mut Vec<Recorded>), blobs: &[Vec<u8>]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Location::directory(dir.path().join("state")).store();
        let opened = store.open(&Owner::this_process(WallTime(0))).unwrap();
        let mut events = self.events.clone();
        edit(&mut events);
        change(&mut events[0], |payload| payload["ledger"] = json!(opened.ledger.to_string()));
        let mut heads: BTreeMap<StreamName, HeadRow> = BTreeMap::new();
        let (mut tip, mut rewritten) = (opened.commits, Vec::new());
        for (index, mut event) in events.iter().cloned().enumerate() {
            let last = events[index + 1..].iter().all(|later| later.stream != event.stream);
            let head = heads.entry(event.stream.clone()).or_insert_with(|| HeadRow {
                stream: event.stream.clone(),
                tip: StreamTip::default(),
                status: "rewritten".to_owned(),
                ended: false,
                started: event.wall,
                changed: (event.at, event.wall),
                summary: "{}".to_owned(),
            });
            (event.version, event.prev) = (head.tip.version.next(), head.tip.hash);
            event.hash = event.computed_hash();
            head.tip = StreamTip { version: event.version, hash: event.hash };
            head.changed = (event.at, event.wall);
            head.ended = last && &*event.kind == "coordination.completed";
            let commit = Commit::link(tip, opened.epoch, [event.hash].into_iter());
            tip = commit.tip();
            let blobs = if index == 0 {
                blobs.iter().cloned().map(Blob::new).collect()
            } else {
                Vec::new()
            };
            let (heads, erasures) = (vec![head.clone()], Vec::new());
            store
                .append(
                    &Append { commit, events: vec![event.clone()], blobs, heads, erasures },
                    &[],
                )
                .unwrap();
            rewritten.push(event);
        }
        store.close().unwrap();
        Self { dir, events: rewritten, receipt: self.receipt.clone() }
    }

    /// What the checker finds with a journal; digests and ids of ledgers differ by run.
    fn checked(&self, journal: &[Entry]) -> Result<Coverage, Vec<String>> {
        self.checked_with(journal, &[])
    }

    /// The same where processes have left their files.
    fn checked_with(
        &self,
        journal: &[Entry],
        tracks: &[ProcessTrace],
    ) -> Result<Coverage, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let writer = JournalWriter::append_to(&path).unwrap();
        journal.iter().for_each(|entry| writer.write(entry));
        let mut journal = Journal::at(path);
        journal.take_run().unwrap();
        check(
            &super::Evidence { state: &self.dir.path().join("state"), journal: &journal, tracks },
            false,
        )
        .map_err(|findings| findings.iter().map(|finding| masked(finding)).collect())
    }

    fn at(&self, kind: &str) -> usize {
        self.events.iter().position(|event| &*event.kind == kind).unwrap()
    }
}

fn change(event: &mut Recorded, edit: impl FnOnce(&mut Value)) {
    let mut payload = serde_json::from_slice(event.payload.bytes().unwrap()).unwrap();
    edit(&mut payload);
    event.payload = Payload::Bytes(serde_json::to_vec(&payload).unwrap());
}

/// What verification says of a binding that cannot follow.
fn not_replayable(version: u64, why: &str) -> String {
    let remedy = "verify with the version that wrote it; if that finds it too, keep the ledger as it is and restore a copy";
    let event = "coordination.session_bound is not possible here";
    format!("event {version} of `coordination/c`: cannot be replayed: {event}: {why}; {remedy}")
}

fn masked(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let mut words = text.split_inclusive(|c| !is_part(c)).map(|word| {
        let digest = word.trim_end_matches(|c| !is_part(c));
        if digest.len() == 64 { word.replace(digest, "<hash>") } else { word.to_owned() }
    });
    words.by_ref().collect()
}

#[test]
fn what_an_engine_leaves_passes_and_so_does_the_same_written_again() {
    for ended in [false, true] {
        let left = left(ended);
        let events = if ended { 10 } else { 8 };
        let acknowledged = if ended { 11 } else { 8 };
        let (one, receipts) = (1, u64::from(ended));
        let seen = Coverage {
            events,
            runs: one,
            ended: receipts,
            sessions: 2,
            receipts_rebuilt: receipts,
            acknowledged,
            ..Coverage::default()
        };
        assert_eq!(left.checked(&left.journal()), Ok(seen));
        if !ended {
            let rewritten = left.rewritten(|_| {}, &[]);
            assert_eq!(rewritten.checked(&rewritten.journal()), Ok(seen));
        }
    }
}

#[test]
fn two_live_sessions_of_one_item_are_found() {
    let left = left(false);
    let mut journal = left.journal();
    for entry in &mut journal {
        if let Entry::Began { session, at_ns, .. } = entry
            && session.number == 2
        {
            // The first was gone at 400.
            *at_ns = 399;
        }
    }
    let found =
        "item a of c had two sessions at once: 1 and 2, which began before the first had exited";
    assert_eq!(left.checked(&journal), Err(vec![found.to_owned()]));
}

#[test]
fn a_session_that_ended_on_the_record_while_it_ran_is_found() {
    let left = left(false);
    let mut journal = left.journal();
    journal.retain(|entry| !matches!(entry, Entry::Left { session, .. } if session.number == 2));
    let found = "session c.2 of a ended on the record (version 6) while it ran";
    assert_eq!(left.checked(&journal), Err(vec![found.to_owned()]));
}

#[test]
fn a_session_that_ran_without_being_on_the_record_is_found() {
    let left = left(false);
    for other in ["fence", "attempt", "work"] {
        let mut journal = left.journal();
        for entry in &mut journal {
            let (Entry::Began { session, work, .. } | Entry::Left { session, work, .. }) = entry
            else {
                continue;
            };
            if session.number == 2 && other == "work" {
                *work = "b".parse().unwrap();
            }
            if let Entry::Began { session, fence, attempt, .. } = entry
                && session.number == 2
            {
                *fence = if other == "fence" { Version(4) } else { *fence };
                *attempt += u32::from(other == "attempt");
            }
        }
        let item = if other == "work" { "b" } else { "a" };
        assert_eq!(
            left.checked(&journal),
            Err(vec![format!("session c.2 of {item} ran and is not on the record")]),
            "{other}"
        );
    }
}

#[test]
fn every_kind_of_acknowledgement_that_the_ledger_does_not_hold_is_found() {
    let left = left(true);
    let id: CoordinationId = "c".parse().unwrap();
    let receipt = Digest::of(b"another");
    for lost in [
        Entry::Submitted { id: "d".parse().unwrap() },
        Entry::Added {
            id: id.clone(),
            command: CommandId::new("add-1").unwrap(),
            version: Version(2),
        },
        Entry::Added {
            id: id.clone(),
            command: CommandId::new("add-0").unwrap(),
            version: Version(3),
        },
        Entry::Stopped { id: id.clone(), kind: StopKind::Cancel },
        Entry::Paused { id: id.clone() },
        Entry::Continued { id: id.clone() },
        Entry::Interrupted { id: id.clone() },
        Entry::Ended { id: id.clone(), verdict: Verdict::Succeeded, receipt },
        Entry::Delivered { id: id.clone(), version: Version(2), hash: receipt },
        Entry::Delivered { id, version: Version(99), hash: receipt },
    ] {
        let mut journal = left.journal();
        journal.push(lost.clone());
        assert_eq!(left.checked(&journal), Err(vec![masked(&format!("LOST: {lost:?}"))]));
    }
    let mut journal = left.journal();
    journal.push(Entry::Closed { pid: 2 });
    assert_eq!(
        left.checked(&journal),
        Err(vec!["LOST: 2 closes were acknowledged, 1 are recorded".to_owned()])
    );
}

#[test]
fn an_acknowledged_effect_that_is_gone_from_a_ledger_that_verifies_is_found() {
    let left = left(false);
    let rewritten =
        left.rewritten(|events| events.truncate(left.at("coordination.session_bound")), &[]);
    assert!(
        Location::directory(rewritten.dir.path().join("state"))
            .verify(&Scope::Ledger)
            .unwrap()
            .is_sound()
    );
    // Hashes are as they were recorded; nothing else that was seen has changed.
    let mut journal = rewritten.journal();
    journal.extend(left.journal().into_iter().filter(|entry| {
        matches!(entry, Entry::Began { .. } | Entry::Left { .. } | Entry::Closed { .. })
    }));
    let found = rewritten.checked(&journal).unwrap_err();
    assert_eq!(
        found,
        [
            "LOST: 2 closes were acknowledged, 0 are recorded",
            "session c.1 of a ran and is not on the record",
            "session c.2 of a ran and is not on the record",
        ]
    );
}

#[test]
fn a_command_that_was_carried_out_twice_is_found() {
    let left = left(false);
    let twice = |events: &mut Vec<Recorded>| {
        let mut again = events[left.at("coordination.work_added")].clone();
        change(&mut again, |payload| payload["items"][0]["id"] = json!("b"));
        let at = left.at("ledger.closed");
        (again.at, again.wall) = (events[at].at, events[at].wall);
        events.insert(at, again);
    };
    let rewritten = left.rewritten(twice, &[]);
    let mut journal = rewritten.journal();
    journal.retain(|entry| !matches!(entry, Entry::Added { .. }));
    assert_eq!(
        rewritten.checked(&journal).unwrap_err(),
        ["coordination/c at version 7: command add-0 was carried out twice"]
    );
}

#[test]
fn two_ends_of_one_coordination_are_found() {
    let left = left(true);
    let end = left.at("coordination.completed");
    let rewritten = left.rewritten(
        |events| events.insert(end, events[end].clone()),
        &[left.receipt.clone().unwrap()],
    );
    let mut journal = rewritten.journal();
    journal.retain(|entry| !matches!(entry, Entry::Ended { .. }));
    assert_eq!(
        rewritten.checked(&journal).unwrap_err(),
        [
            "event 8 of `coordination/c`: names receipt <hash>, but its events give <hash>; keep the ledger as it is for evidence, and restore a copy",
            "event 9 of `coordination/c`: follows the end of its stream; keep the ledger as it is for evidence, and restore a copy",
            "the table of head rows, which lacks 1 streams that have ended: has no head row; restore a copy; the events themselves are not touched by this",
            "coordination/c at version 9: coordination.completed is not possible here: the run has ended",
            "coordination/c: 2 terminal events",
            "1 run ended, but 0 receipts could be rebuilt",
        ]
    );
}

#[test]
fn a_budget_that_was_exceeded_is_found() {
    let left = left(false);
    let start = left.at("coordination.started");
    let rewritten = left.rewritten(
        |events| change(&mut events[start], |payload| payload["budget"]["max_episodes"] = json!(1)),
        &[],
    );
    assert_eq!(
        rewritten.checked(&rewritten.journal()).unwrap_err(),
        [
            not_replayable(5, "no new session can start: the session budget is spent").as_str(),
            "coordination/c at version 5: coordination.session_bound is not possible here: no new session can start: the session budget is spent",
            "coordination/c at version 5: 0 live sessions of item a",
            "coordination/c at version 6: version 6 does not follow version 4",
        ]
    );
}

#[test]
fn two_bindings_of_one_item_are_found() {
    let left = left(false);
    let first_end = left.at("coordination.session_unbound");
    let rewritten = left.rewritten(|events| drop(events.remove(first_end)), &[]);
    let mut journal = rewritten.journal();
    journal.retain(|entry| !matches!(entry, Entry::Began { .. } | Entry::Left { .. }));
    assert_eq!(
        rewritten.checked(&journal).unwrap_err(),
        [
            not_replayable(4, "session c.1 is running, and the concurrency of 1 allows no more")
                .as_str(),
            "coordination/c at version 4: coordination.session_bound is not possible here: session c.1 is running, and the concurrency of 1 allows no more",
            "coordination/c at version 5: version 5 does not follow version 3",
        ]
    );
}

#[test]
fn a_receipt_with_other_bytes_is_found() {
    let left = left(true);
    let end = left.at("coordination.completed");
    let mut other = left.receipt.clone().unwrap();
    let last = other.len() - 1;
    other[last] ^= 1;
    let named = Digest::of(&other).to_string();
    let rewritten = left.rewritten(
        |events| change(&mut events[end], |payload| payload["receipt"] = json!(named)),
        &[other],
    );
    assert_eq!(
        rewritten.checked(&rewritten.journal()).unwrap_err(),
        [
            "event 8 of `coordination/c`: names receipt <hash>, but its events give <hash>; keep the ledger as it is for evidence, and restore a copy",
            "1 run ended, but 0 receipts could be rebuilt",
        ]
    );
}

#[test]
fn a_session_that_was_cut_off_and_counted_as_an_attempt_is_found() {
    let left = left(false);
    for outcome in ["CANCELLED", "LOST"] {
        let rewritten = left.rewritten(
            |events| {
                let end = left.at("coordination.session_unbound");
                change(&mut events[end], |payload| payload["outcome"] = json!(outcome));
            },
            &[],
        );
        let found = rewritten.checked(&rewritten.journal()).unwrap_err();
        let counted = "coordination/c at version 5: a session of a that was cut off has counted as an attempt";
        assert!(found.iter().any(|found| found == counted), "{found:?}");
    }
}

/// What is found where run `c@2` retries `c`, in which `good` succeeded and `bad` did not, and takes
/// over these of the items.
fn retried(taken_over: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut setup = Engine::builder(dir.path().join("state")).unwrap();
        setup
            .register("work", |session: SessionContext| async move {
                match session.work().as_str() {
                    "bad" => Err(Failed::because("it never works")),
                    _ => Ok(Output::none()),
                }
            })
            .unwrap();
        let engine = setup.start().await.unwrap();
        let item = |id: &str| WorkSpec::function(id, "work").unwrap().with_attempts(1);
        let work = |taken_over: &[&str]| -> Vec<WorkSpec> {
            let taken = |id: &str| match taken_over.contains(&id) {
                true => item(id).reused(Reused {
                    from: "c".parse().unwrap(),
                    work: None,
                    output: None,
                    files: None,
                    session: None,
                }),
                false => item(id),
            };
            vec![taken("good"), taken("bad"), taken("after").needs_work("bad").unwrap()]
        };
        let budget = CoordinationBudget::new(10, 600_000, 1_000, None).unwrap();
        let config = |work| CoordinationConfig::of_work(work, budget.clone()).unwrap();
        let run = engine.submit(config(work(&[])).with_id("c").unwrap()).await.unwrap();
        run.wait().await.unwrap();
        let forerunner = run.forerunner().await.unwrap().unwrap();
        let retry = config(work(taken_over)).with_id("c@2").unwrap().retrying(forerunner);
        engine.submit(retry).await.unwrap().wait().await.unwrap();
        engine.close().await.unwrap();
    });
    let mut ledger = ReadLedger::default();
    let mut findings = Findings::default();
    ledger.read(&dir.path().join("state"), &mut findings).unwrap();
    super::retry::check(&ledger, &mut findings);
    findings.into_texts()
}

#[test]
fn a_retry_that_runs_what_succeeded_or_takes_over_what_did_not_is_found() {
    assert_eq!(retried(&["good"]), Vec::<String>::new());
    assert_eq!(retried(&[]), ["coordination/c@2: good had succeeded and is carried out again"]);
    assert_eq!(
        retried(&["good", "bad"]),
        ["coordination/c@2: bad is taken over and had not succeeded"]
    );
}

/// Replay refuses what is beyond a budget before the checker's own reckoning is asked. This asks it
/// as if replay had let it through.
#[test]
fn a_grant_beyond_a_ceiling_is_found_without_the_help_of_replay() {
    let left = left(false);
    let (mut ledger, mut findings) = (ReadLedger::default(), Findings::default());
    let id: CoordinationId = "c".parse().unwrap();
    let own = StreamName::Coordination(id.clone());
    let bound: Vec<&Recorded> = left
        .events
        .iter()
        .filter(|event| event.stream == own && event.version <= Version(5))
        .collect();
    bound.iter().for_each(|event| ledger.take(&id, event, &mut findings));
    let state: Value = serde_json::from_slice(&ledger.records[&id].run().snapshot()).unwrap();
    let grant = json!({ "sessions": 1, "ticks": 1, "tokens": 60, "cost": 60 });
    for (path, value, found) in [
        ("/receipt/ceiling/max_tokens", json!(59), Some("tokens granted beyond Some(59)")),
        ("/receipt/ceiling/max_tokens", json!(60), None),
        ("/receipt/ceiling/max_cost", json!(59), Some("cost granted beyond Some(59)")),
        ("/receipt/ceiling/max_cost", json!(60), None),
        ("/receipt/ceiling/max_episodes", json!(1), Some("sessions granted beyond 1")),
        ("/receipt/ceiling/max_episodes", json!(2), None),
        ("/started/concurrency", json!(0), Some("1 live sessions where 0 are allowed")),
    ] {
        let mut state = state.clone();
        state["sessions"]["bound"]["2"]["grant"] = grant.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        state.pointer_mut(parent).unwrap()[key] = value;
        let session = Coordination::restore(&serde_json::to_vec(&state).unwrap()).unwrap();
        let mut event = bound[4].clone();
        change(&mut event, |payload| payload["grant"] = grant.clone());
        let event = CoordinationEvent::of(&event).unwrap();
        let mut findings = Findings::default();
        Record::of(Replay::behind(session, StreamTip::default())).take(
            event,
            bound[4],
            "here",
            &mut findings,
        );
        assert_eq!(
            findings.into_texts(),
            found.map(|found| format!("here: {found}")).into_iter().collect::<Vec<_>>(),
            "{path}"
        );
    }
}

/// The trace of a process of session 2 that reports its assignment correctly.
fn track(of: &SampleLedger) -> ProcessTrace {
    let began = of.journal().into_iter().find_map(|entry| match entry {
        Entry::Began { session, work, fence, attempt, .. } if session.number == 2 => {
            Some(SessionFacts { session, work, fence, attempt })
        }
        _ => None,
    });
    let assignment = began.unwrap();
    let identity = ProcessIdentity { pid: i32::MAX, start: 0 };
    ProcessTrace {
        session: assignment.session.clone(),
        work: assignment.work.clone(),
        identity,
        observation: Some(Observation { assignment, beside: Vec::new() }),
    }
}

#[test]
fn a_process_of_a_session_that_is_on_the_record_and_is_gone_passes() {
    let left = left(false);
    let seen = left.checked_with(&left.journal(), &[track(&left)]);
    assert_eq!(seen.map(|seen| (seen.sessions, seen.processes)), Ok((2, 1)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_outlives_the_end_of_its_session_is_found() {
    let left = left(false);
    let track = ProcessTrace { identity: ProcessIdentity::own().unwrap(), ..track(&left) };
    let found = format!(
        "session c.2 of a has ended on the record (version 6), and its process {} lives",
        track.identity.pid
    );
    assert_eq!(left.checked_with(&left.journal(), &[track]), Err(vec![found]));
}

#[test]
fn two_live_trees_of_one_item_are_found() {
    let left = left(false);
    let mut track = track(&left);
    track.observation.as_mut().unwrap().beside = vec![1];
    let found = format!(
        "item a of c had two live trees: process {} of session 2 began while one of session 1 lived",
        i32::MAX
    );
    assert_eq!(left.checked_with(&left.journal(), &[track]), Err(vec![found]));
}

#[test]
fn a_process_that_ran_without_being_on_the_record_is_found() {
    let left = left(false);
    let edits: [fn(&mut SessionFacts); 4] = [
        |assignment| assignment.fence = Version(4),
        |assignment| assignment.attempt += 1,
        |assignment| assignment.work = "b".parse().unwrap(),
        |assignment| assignment.session.number = 3,
    ];
    for edit in edits {
        let mut track = track(&left);
        edit(&mut track.observation.as_mut().unwrap().assignment);
        let found =
            format!("session c.2 of a ran as process {} and is not on the record", i32::MAX);
        assert_eq!(left.checked_with(&left.journal(), &[track]), Err(vec![found]));
    }
}

#[test]
fn a_tree_that_was_not_ended_is_found() {
    let left = left(false);
    let tree = json!({ "containment": "warden", "clean": false, "leftovers": ["pid 7"] });
    // What left something over holds its item, so nothing follows its end.
    let unclean = |events: &mut Vec<Recorded>| {
        let end = left.at("coordination.session_unbound");
        change(&mut events[end], |payload| {
            payload["tree"] = tree;
            payload["then"] = json!("hold");
        });
        let last = events[end].clone();
        events.retain(|event| event.stream != last.stream || event.version <= last.version);
    };
    let rewritten = left.rewritten(unclean, &[]);
    assert_eq!(
        rewritten.checked(&rewritten.journal()).unwrap_err(),
        ["session c.1 left something over: pid 7"]
    );
}

#[test]
fn an_output_that_is_gone_or_damaged_is_found() {
    let left = left(false);
    let printed = vec![b'.'; 100_000];
    let digest = Digest::of(&printed).to_string();
    let tree = json!({ "containment": "warden", "clean": true, "stdout": &digest });
    let prints = |events: &mut Vec<Recorded>| {
        change(&mut events[left.at("coordination.session_unbound")], |end| {
            end["tree"] = tree.clone();
        });
    };
    let rewritten = left.rewritten(prints, &[printed]);
    assert_eq!(
        rewritten.checked(&rewritten.journal()).map(|seen| (seen.trees, seen.blobs)),
        Ok((1, 1))
    );
    let file = rewritten.dir.path().join("state/blobs").join(&digest[..2]).join(&digest);
    std::fs::write(&file, "other").unwrap();
    let found = rewritten.checked(&rewritten.journal()).unwrap_err();
    let of_blob = "blob <hash>, which the end of session c.1 names, ";
    assert!(
        found.iter().any(|found| found.starts_with(&format!("{of_blob}cannot be read: "))),
        "{found:?}"
    );
    let rewritten = left.rewritten(prints, &[]);
    let found = rewritten.checked(&rewritten.journal()).unwrap_err();
    assert!(found.contains(&format!("{of_blob}is not there")), "{found:?}");
}
