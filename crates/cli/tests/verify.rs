//! `antiphon verify` as its users see it.

mod common;

use common::{Fixture, check};

#[test]
fn a_sound_ledger_is_sound_as_a_whole_and_in_parts() {
    let fixture = Fixture::new();
    check(
        &fixture.run("verify"),
        "18 events in 4 streams, <n> commits\n2 receipts rebuilt, 0 payloads erased\nsound\n--- exit 0\n",
    );
    for coordination in ["build", "coordination/build"] {
        check(
            &fixture.run(&format!("verify {coordination}")),
            "9 events in 1 streams, <n> commits\n1 receipts rebuilt, 0 payloads erased\nsound\n--- exit 0\n",
        );
    }
    let report = fixture.objects("verify --json").remove(0);
    assert_eq!((&report["sound"], &report["findings"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn findings_name_stream_and_version_and_exit_with_four() {
    let fixture = Fixture::new();
    fixture.run("receipt export build -o build.json");
    let export = std::fs::read_to_string(fixture.path("build.json")).unwrap();
    std::fs::write(fixture.path("forged.json"), export.replacen("\"actor\": \"session:build.1\"", "\"actor\": \"operator\"", 1))
        .unwrap();
    let hash = "its content does not have its hash: type, actor, time, payload or another part was changed";
    let remedy = "keep the ledger as it is for evidence, and restore a copy";
    check(
        &fixture.run("verify forged.json"),
        &format!(
            "9 events in 1 streams, <n> commits\n1 receipts rebuilt, 0 payloads erased\n\
             event 4 of `coordination/build`: {hash}; {remedy}\nNOT SOUND: 1 finding\n--- exit 4\n"
        ),
    );
    let said = String::from_utf8(fixture.output("verify forged.json --json").stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        report["findings"],
        serde_json::json!([{
            "place": "event", "stream": "coordination/build", "version": 4, "wrong": "hash_differs",
            "text": format!("event 4 of `coordination/build`: {hash}; {remedy}"), "remedy": remedy,
        }])
    );
}

#[test]
fn a_ledger_is_held_against_an_earlier_receipt() {
    let fixture = Fixture::new();
    fixture.run("receipt export build -o build.json");
    let sound = "18 events in 4 streams, <n> commits\n2 receipts rebuilt, 0 payloads erased\nsound\n--- exit 0\n";
    check(&fixture.run("verify --against build.json"), sound);
    let export: serde_json::Value = serde_json::from_slice(&std::fs::read(fixture.path("build.json")).unwrap()).unwrap();
    check(&fixture.run(&format!("verify --against {}", export["receipt"].as_str().unwrap())), sound);

    let other = Fixture::new();
    std::fs::copy(fixture.path("build.json"), other.path("build.json")).unwrap();
    let said = other.run("verify --against build.json");
    assert!(said.contains("is not what the earlier receipt saw"), "{said}");
    assert!(said.ends_with("--- exit 4\n"), "{said}");
}

#[test]
fn what_cannot_be_read_exits_with_three() {
    let fixture = Fixture::new();
    let said = fixture.run("verify --against nothing");
    assert!(said.starts_with("--- stderr\nerror: \"nothing\" is neither an exported receipt nor the hash of one"), "{said}");
    assert!(said.ends_with("--- exit 3\n"), "{said}");

    std::fs::write(fixture.state().join("ledger.db"), "this is no database, and has never been one").unwrap();
    let said = fixture.run("verify");
    assert!(said.starts_with("--- stderr\nerror: the ledger is damaged: "), "{said}");
    assert!(said.ends_with("--- exit 3\n"), "{said}");
}
