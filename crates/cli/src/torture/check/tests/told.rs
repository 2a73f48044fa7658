//! What is said in a run and decided about its attempts: acknowledged and gone, or there twice.

use antiphon::approvals::{Answer, Question};
use antiphon::keys::{Expected, JsonText, KeyWrite};
use antiphon::routing::{Route, RoutingDecision};
use antiphon::signals::{Dedup, Signal};

use super::*;

/// Run `c`: a signal, a count up to 2, a question with its answer, and item `a`, whose first attempt
/// went well and is made again.
fn talked() -> SampleLedger {
    let dir = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut setup = Engine::builder(dir.path().join("state")).unwrap();
        setup
            .register("work", |session: SessionContext| async move {
                let again = (session.attempt() == 1).then_some(RoutingDecision::Retry);
                Ok(match again {
                    Some(again) => Output::none().routed(Route::new(again, "once more")),
                    None => Output::none(),
                })
            })
            .unwrap();
        let engine = setup.start().await.unwrap();
        let budget = CoordinationBudget::new(10, 600_000, 1_000, None).unwrap();
        let config = CoordinationConfig::open(vec![], budget).unwrap().with_id("c").unwrap();
        let run = engine.submit(config).await.unwrap();
        let note = Signal::new("note".parse().unwrap()).from("driver".parse().unwrap());
        run.signal(note.once(Dedup::new("n"))).await.unwrap();
        let mut expected = Expected::Nothing;
        for value in ["1", "2"] {
            let value = JsonText::new(value).unwrap();
            let write = KeyWrite::set("count".parse().unwrap(), value).unwrap();
            expected = Expected::At(run.set_keys([write.expecting(expected)]).await.unwrap());
        }
        let question = Question::new("Go on?").unwrap().with_id("q".parse().unwrap()).unwrap();
        run.ask(question).await.unwrap();
        run.answer("q".parse().unwrap(), Answer::Yes, None).await.unwrap();
        let mut events = run.follow().await.unwrap();
        run.add_work(vec![WorkSpec::function("a", "work").unwrap()]).await.unwrap();
        while events.next().await.unwrap().unwrap().version < Version(12) {}
        engine.close().await.unwrap();
    });
    let store = Location::directory(dir.path().join("state")).store();
    let events =
        store.read_all(Seq(0), PAGE).unwrap().into_iter().map(|placed| placed.event).collect();
    SampleLedger { dir, events, receipt: None }
}

fn run() -> CoordinationId {
    "c".parse().unwrap()
}

fn signalled(from: &str, key: &str, version: u64) -> Entry {
    let (from, key) = (from.parse().unwrap(), key.to_owned());
    Entry::Signalled { id: run(), from, key, version: Version(version) }
}

fn counted(value: u64, version: u64) -> Entry {
    Entry::Counted { id: run(), value, version: Version(version) }
}

fn answered(question: &str, yes: bool, version: u64) -> Entry {
    let question = question.parse().unwrap();
    Entry::Answered { id: run(), question, yes, version: Version(version) }
}

fn asked(question: &str, version: u64) -> Entry {
    Entry::Asked { id: run(), question: question.parse().unwrap(), version: Version(version) }
}

#[test]
fn what_was_said_and_decided_passes_and_is_counted() {
    let talked = talked();
    let mut journal = talked.journal();
    journal.extend([signalled("driver", "n", 2), Entry::Heard { id: run(), version: Version(2) }]);
    journal.extend([counted(1, 3), counted(2, 4), asked("q", 5), answered("q", true, 6)]);
    let seen = talked.checked(&journal).unwrap();
    assert_eq!((seen.signals, seen.counted, seen.answers, seen.decisions), (1, 2, 1, 1));
    let rewritten = talked.rewritten(|_| {}, &[]);
    let again = rewritten.checked(&rewritten.journal()).unwrap();
    assert_eq!((again.signals, again.events), (1, seen.events));
}

#[test]
fn what_was_said_and_is_not_where_it_was_acknowledged_is_found() {
    let talked = talked();
    for lost in [
        signalled("driver", "n", 3),
        signalled("driver", "m", 2),
        signalled("somebody", "n", 2),
        Entry::Heard { id: run(), version: Version(5) },
        counted(2, 3),
        counted(3, 5),
        asked("q", 6),
        asked("other", 5),
        answered("q", false, 6),
        answered("q", true, 5),
    ] {
        let mut journal = talked.journal();
        journal.push(lost.clone());
        assert_eq!(talked.checked(&journal), Err(vec![format!("LOST: {lost:?}")]));
    }
}

/// What the checker's own reckoning finds in other events, as if replay had let them through.
fn found_in(events: &[Recorded]) -> Vec<String> {
    let mut told = ToldRecord::default();
    let mut findings = Findings::default();
    let own = StreamName::Coordination(run());
    for (version, event) in (1..).zip(events.iter().filter(|event| event.stream == own)) {
        let place = format!("at {version}");
        told.take(&CoordinationEvent::of(event).unwrap(), Version(version), &place, &mut findings);
    }
    told.check(&run(), &mut findings);
    findings.into_texts()
}

#[test]
fn what_is_on_the_record_twice_is_found() {
    let talked = talked();
    assert_eq!(found_in(&talked.events), Vec::<String>::new());
    for (kind, found) in [
        ("signalled", "at 3: signal n of driver was recorded twice"),
        ("asked", "at 6: question q was asked twice"),
        ("answered", "at 7: question q was answered twice"),
        ("routed", "at 10: what follows session 1 was decided twice"),
    ] {
        let mut events = talked.events.clone();
        let at = talked.at(&format!("coordination.{kind}"));
        events.insert(at, events[at].clone());
        let all = found_in(&events);
        assert_eq!(all.last().map(String::as_str), Some(found), "{all:?}");
        let rewritten = talked.rewritten(|events| events.insert(at, events[at].clone()), &[]);
        assert!(rewritten.checked(&rewritten.journal()).is_err(), "{kind}");
    }
}

#[test]
fn a_count_that_does_not_rest_on_the_one_before_is_found() {
    let talked = talked();
    let first = talked.at("coordination.key_set");
    for (value, found) in [
        (json!(1), "at 4: count was 1 and became Some(1), which does not rest on it"),
        (json!(3), "at 4: count was 1 and became Some(3), which does not rest on it"),
        (json!("x"), "at 4: count was 1 and became None, which does not rest on it"),
    ] {
        let other = |payload: &mut Value| payload["changes"][0]["value"] = value;
        let rewritten = talked.rewritten(|events| change(&mut events[first + 1], other), &[]);
        assert_eq!(found_in(&rewritten.events), [found]);
        let checked = rewritten.checked(&rewritten.journal()).unwrap_err();
        assert_eq!(checked, [found.replace("at 4", "coordination/c at version 4")]);
    }
}

#[test]
fn a_decision_without_the_end_that_it_is_about_is_found() {
    let talked = talked();
    let routed = talked.at("coordination.routed");
    let cut = talked.rewritten(|events| events.truncate(routed + 1), &[]);
    assert_eq!(
        cut.checked(&[]).unwrap_err(),
        ["coordination/c: what follows session 1 is decided, and its end is not on the record"]
    );
    let mut events = talked.events.clone();
    events.remove(routed + 1);
    assert_eq!(
        found_in(&events),
        ["at 10: what follows session 1 is decided, and its end does not come next"]
    );
}
