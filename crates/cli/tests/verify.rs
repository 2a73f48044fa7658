//! `antiphon verify` as its users see it.

use crate::common::{Fixture, check};

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
            "9 events in 1 stream, <n> commits\n1 receipt rebuilt, 0 payloads erased\nsound\n--- exit 0\n",
        );
    }
    let report = fixture.objects("verify --json").remove(0);
    assert_eq!((&report["sound"], &report["findings"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn findings_name_stream_and_version_and_exit_with_four() {
    let fixture = Fixture::new();
    fixture.succeeds("receipt export build -o build.json");
    let mut export: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture.path("build.json")).unwrap()).unwrap();
    export["events"][3]["actor"] = "operator".into();
    std::fs::write(fixture.path("forged.json"), export.to_string()).unwrap();
    let hash = "its content does not match its hash: type, actor, time, payload or another part was changed";
    let remedy = "keep the ledger as it is for evidence, and restore a copy";
    let differs = "its rendering is not that of the receipt that its events give";
    let export_again = "do not rely on this file; export the receipt again";
    check(
        &fixture.run("verify forged.json"),
        &format!(
            "9 events in 1 stream, <n> commits\n0 receipts rebuilt, 0 payloads erased\n\
             event 4 of `coordination/build`: {hash}; {remedy}\n\
             the exported receipt: {differs}; {export_again}\nNOT SOUND: 2 findings\n--- exit 4\n"
        ),
    );
    let said = String::from_utf8(fixture.output("verify forged.json --json").stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        report["findings"],
        serde_json::json!([
            {
                "place": "event", "stream": "coordination/build", "version": 4, "wrong": "hash_differs",
                "text": format!("event 4 of `coordination/build`: {hash}; {remedy}"), "remedy": remedy,
            },
            {
                "place": "export", "wrong": "rendering_differs",
                "text": format!("the exported receipt: {differs}; {export_again}"), "remedy": export_again,
            },
        ])
    );
}

#[test]
fn a_ledger_is_held_against_an_earlier_receipt() {
    let fixture = Fixture::new();
    fixture.succeeds("receipt export build -o build.json");
    let sound = "18 events in 4 streams, <n> commits\n2 receipts rebuilt, 0 payloads erased\nsound\n--- exit 0\n";
    check(&fixture.run("verify --against build.json"), sound);
    let export: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture.path("build.json")).unwrap()).unwrap();
    check(
        &fixture.run(&format!("verify --against {}", export["receipt"].as_str().unwrap())),
        sound,
    );

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
    assert!(
        said.starts_with(
            "--- stderr\nerror: \"nothing\" is neither an exported receipt nor the hash of one"
        ),
        "{said}"
    );
    assert!(said.ends_with("--- exit 3\n"), "{said}");

    let database = fixture.state().join("ledger.db");
    std::fs::remove_file(&database).unwrap();
    std::fs::create_dir(&database).unwrap();
    check(
        &fixture.run("verify"),
        "\
--- stderr
error: could not read the ledger: disk I/O error: Error code 266: disk I/O error
hint: `antiphon doctor` explains what is wrong with a state directory
--- exit 3
",
    );
}
