//! What may not be submitted, and how the refusal names it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use antiphon_core::coordination::{
    ConfigError, ControllerError, Coordination, CoordinationBudget, CoordinationConfig,
    CoordinationController, MAX_DEPTH, Runner, WorkSpec,
};
use antiphon_core::id::{CoordinationId, IdError, WorkId};

fn budget() -> CoordinationBudget {
    CoordinationBudget::new(10, 60_000, 1_000, None).unwrap()
}

fn item(id: &str) -> WorkSpec {
    WorkSpec::new(id.parse().unwrap(), Runner::Caller)
}

fn refusal(work: Vec<WorkSpec>) -> String {
    CoordinationConfig::of_work(work, budget()).unwrap_err().to_string()
}

#[test]
fn a_circle_is_named_from_its_first_member_back_to_it() {
    let circle = "these wait for each other and would never start: ";
    let itself = vec![item("a").needs_work("a").unwrap()];
    assert_eq!(refusal(itself), format!("{circle}a -> a"));
    let three = vec![
        item("a").needs_work("c").unwrap(),
        item("b").needs_work("a").unwrap(),
        item("c").needs_work("b").unwrap(),
        item("d"),
    ];
    assert_eq!(refusal(three), format!("{circle}a -> c -> b -> a"));
    let own_group = vec![item("a").in_group("g").unwrap().needs_group("g").unwrap()];
    assert_eq!(refusal(own_group), format!("{circle}a -> group g -> a"));
    let groups = vec![
        item("a").in_group("g").unwrap().needs_group("h").unwrap(),
        item("b").in_group("h").unwrap().needs_work("c").unwrap(),
        item("c").needs_group("g").unwrap(),
    ];
    assert_eq!(refusal(groups), format!("{circle}a -> group h -> b -> c -> group g -> a"));
}

#[test]
fn a_chain_of_a_hundred_thousand_items_is_no_circle_and_its_closing_is_found() {
    let mut work: Vec<WorkSpec> = (1..100_000)
        .map(|n| item(&format!("w{n}")).needs_work(format!("w{}", n - 1)).unwrap())
        .collect();
    work.push(item("w0"));
    assert!(CoordinationConfig::of_work(work.clone(), budget()).is_ok());
    work.last_mut()
        .unwrap()
        .needs
        .push("w99999".parse().map(antiphon_core::coordination::Need::Work).unwrap());
    let Err(ConfigError::Cycle { path }) = CoordinationConfig::of_work(work, budget()) else {
        panic!("it is a circle")
    };
    assert_eq!(path.len(), 100_001);
}

#[test]
fn what_is_unknown_repeated_or_not_supported_is_named() {
    assert_eq!(
        refusal(vec![item("a").needs_work("z").unwrap()]),
        "work a needs z, which does not exist and is not being added"
    );
    assert_eq!(
        refusal(vec![item("a").needs_group("z").unwrap()]),
        "work a needs z, which does not exist and is not being added"
    );
    assert_eq!(
        refusal(vec![item("a"), item("a")]),
        "work a already exists; ids are unique within a run"
    );
    let unsupported = [
        (WorkSpec { when: Some("x".to_owned()), ..item("a") }, "when"),
        (WorkSpec { undo: Some("x".parse().unwrap()), ..item("a") }, "undo"),
        (WorkSpec { check: Some("x".to_owned()), ..item("a") }, "check"),
    ];
    for (work, feature) in unsupported {
        assert_eq!(
            refusal(vec![work]),
            format!("work a uses `{feature}`, which this version does not support yet")
        );
    }
}

#[test]
fn limits_of_nothing_are_refused_because_nothing_would_start() {
    let refused = |field, max: u64| format!("{field} is 0; it must be between 1 and {max}");
    assert_eq!(refusal(vec![item("a").with_attempts(0)]), refused("attempts", 100));
    assert_eq!(refusal(vec![item("a").with_timeout_ticks(0)]), refused("timeout_ticks", u64::MAX));
    assert_eq!(
        refusal(vec![WorkSpec { max_tokens: Some(0), ..item("a") }]),
        refused("max_tokens", u64::MAX)
    );
    assert_eq!(
        refusal(vec![WorkSpec { max_cost: Some(0), ..item("a") }]),
        refused("max_cost", u64::MAX)
    );
    assert_eq!(
        refusal(vec![item("a").with_attempts(101)]),
        "attempts is 101; it must be between 1 and 100"
    );
}

#[test]
fn an_item_too_large_to_record_is_named_and_nothing_is_started() {
    let mut large = item("a");
    for number in 0..1_000 {
        large = large.needs_work(format!("{number:0>250}")).unwrap();
    }
    let mut work: Vec<WorkSpec> =
        (0..1_000).map(|number| item(&format!("{number:0>250}"))).collect();
    work.push(large);
    let mut controller =
        CoordinationController::new(CoordinationConfig::of_work(work, budget()).unwrap());
    let refused = controller.start(1_000).unwrap_err().to_string();
    assert!(refused.starts_with("the description of work a takes "), "{refused}");
    assert!(controller.session().is_none());
    assert_eq!(controller.take_events(), []);
}

#[test]
fn ids_over_their_bounds_are_refused_in_code_and_on_load() {
    let long = "x".repeat(257);
    let too_long = IdError::TooLong { what: "work id", actual: 257, max: 256 };
    assert_eq!(WorkId::new(&long), Err(too_long.clone()));
    assert_eq!(
        CoordinationConfig::new(vec![long.clone()], budget(), 1),
        Err(ControllerError::Id(too_long))
    );
    assert!(serde_json::from_str::<WorkId>(&format!("{long:?}")).is_err());
    assert!(serde_json::from_str::<WorkId>(r#""""#).is_err());
    assert!(CoordinationId::chosen("x".repeat(201)).is_err());
    assert_eq!(MAX_DEPTH, 8);
}

#[test]
fn snapshots_with_impossible_numbers_are_not_read() {
    let mut controller = CoordinationController::new(
        CoordinationConfig::of_work(vec![item("a")], budget()).unwrap(),
    );
    controller.start(1_000).unwrap();
    let _bound = controller.prepare_session_spawn("a", 2, 2_000).unwrap();
    let sound = String::from_utf8(controller.session().unwrap().snapshot()).unwrap();
    assert!(Coordination::restore(sound.as_bytes()).is_ok());
    let version = format!("\"version\":{},\"last_at\"", controller.session().unwrap().version().0);
    let forged = [
        ("\"max_episodes\":10", "\"max_episodes\":0"),
        ("\"tick_rate_hz\":1000", "\"tick_rate_hz\":0"),
        ("\"item\":0", "\"item\":7"),
        ("\"state\":{\"bound\":1}", "\"state\":\"ready\""),
        ("\"unfinished\":1", "\"unfinished\":2"),
        (&version, "\"version\":0,\"last_at\""),
    ];
    for (old, new) in forged {
        assert!(sound.contains(old), "{old} in {sound}");
        assert!(Coordination::restore(sound.replace(old, new).as_bytes()).is_err(), "{new}");
    }
}
