//! `antiphon receipt` as its users see it.

use crate::common::{Fixture, check};
use antiphon::coordination::{CoordinationBudget, CoordinationConfig, WorkSpec};
use antiphon::{Engine, Output, SessionContext};
use serde_json::json;

#[test]
fn a_receipt_is_shown_with_verdict_usage_items_and_evidence() {
    let fixture = Fixture::new();
    check(
        &fixture.run("receipt show build"),
        "\
run           build (Build it)
verdict       succeeded
why it ended  no work is left
started       <time>
ended         <time>, <span> s later

METER          USED      CEILING
sessions       3         10
time           <span> s   <span> s
tokens         120       5000
cached tokens  0         not charged
cost           0.000000  none

sessions      3: 2 successful, 1 failed
work          2 succeeded, 0 failed, 0 skipped, 0 unfinished

ITEM     OUTCOME    ATTEMPTS  SESSIONS  OUTPUT
compile  succeeded  1         1         <hash>
test     succeeded  2         2, 3      <hash>

receipt       <hash>
versions      1 to 8 of coordination/build
head hash     <hash>
commit        <n> <hash>
epochs        1 (antiphon 0.1.0)
--- exit 0
",
    );
    let broken = fixture.run("receipt show broken");
    let items: Vec<&str> =
        broken.lines().skip_while(|line| !line.starts_with("ITEM")).take(3).collect();
    assert_eq!(
        items,
        [
            "ITEM   OUTCOME                                    ATTEMPTS  SESSIONS  OUTPUT",
            "bad    failed                                     1         1         -",
            "after  skipped: needs bad, which did not succeed  0         -         -",
        ]
    );
}

#[test]
fn json_has_the_hash_and_the_receipt() {
    let shown = Fixture::new().objects("receipt show broken --json");
    assert_eq!(shown[0]["hash"], "<hash>");
    assert_eq!(shown[0]["receipt"]["verdict"], "failed");
    assert_eq!(shown[0]["items"], shown[0]["receipt"]["work_outcomes"]);
    assert_eq!(
        shown[0]["items"],
        json!([
            { "work_id": "bad", "attempts": 1, "final_outcome": "failed", "sessions": [1] },
            { "work_id": "after", "attempts": 0, "final_outcome": { "skipped": { "need_failed": "bad" } }, "sessions": [] },
        ])
    );
}

#[test]
fn items_that_the_receipt_holds_as_digests_are_shown_too() {
    let fixture = Fixture::empty();
    fixture.block_on(async {
        let mut setup = Engine::builder(fixture.state()).unwrap();
        setup.register("nothing", |_: SessionContext| async move { Ok(Output::none()) }).unwrap();
        let engine = setup.start().await.unwrap();
        let work = (0..1_002)
            .map(|number| WorkSpec::function(format!("item-{number}"), "nothing").unwrap())
            .collect();
        let budget = CoordinationBudget::new(2_000, 600_000, 1_000, None).unwrap();
        let config = CoordinationConfig::of_work(work, budget)
            .unwrap()
            .with_id("wide")
            .unwrap()
            .with_concurrency(64)
            .unwrap();
        let run = engine.submit(config).await.unwrap();
        run.wait().await.unwrap();
        engine.close().await.unwrap();
    });
    let shown = fixture.run("receipt show wide");
    let note = "work          1002 succeeded, 0 failed, 0 skipped, 0 unfinished\n              \
                The receipt holds the first 1000 finished items as digests.\n";
    assert!(shown.contains(note), "{shown}");
    let items: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|id| id.starts_with("item-"))
        .collect();
    let all: Vec<String> = (0..1_002).map(|number| format!("item-{number}")).collect();
    assert_eq!(items, all);
}

#[test]
fn what_has_not_ended_has_no_receipt() {
    check(
        &Fixture::new().run("receipt show service"),
        "\
--- stderr
error: run service has not ended and has no receipt yet
hint: `antiphon list --running` shows how far it is
--- exit 2
",
    );
}

#[test]
fn an_exported_receipt_is_verified_without_its_ledger() {
    let fixture = Fixture::new();
    check(
        &fixture.run("receipt export build --output build.json"),
        "<hash>  build.json\n--- exit 0\n",
    );
    let printed = fixture.output("receipt export build").stdout;
    assert_eq!(printed, std::fs::read(fixture.path("build.json")).unwrap());
    std::fs::remove_dir_all(fixture.state()).unwrap();
    check(
        &fixture.run("verify build.json"),
        "9 events in 1 stream, 1 commit\n1 receipt rebuilt, 0 payloads erased\nsound\n--- exit 0\n"
            .replace("1 commit", "<n> commits")
            .as_str(),
    );
}

#[test]
fn an_export_writes_over_nothing_else() {
    let fixture = Fixture::new();
    fixture.succeeds("receipt export build -o receipt.json");
    check(
        &fixture.run("receipt export build -o receipt.json"),
        "<hash>  receipt.json\n--- exit 0\n",
    );
    check(
        &fixture.run("receipt export broken -o receipt.json"),
        "--- stderr\nerror: receipt.json already exists with other contents\nhint: choose another file, or remove that one\n--- exit 2\n",
    );
}

#[test]
fn of_an_erased_coordination_the_receipt_is_left() {
    let (erased, fixture) = (Fixture::erased(), Fixture::new());
    let whole = fixture.run("receipt show build");
    let said = "\nThe payloads of this run were erased. The receipt is as it was recorded; it cannot be rebuilt\nfrom the events any more, and only its hash can be compared.\n--- exit 0\n";
    check(&erased.run("receipt show build"), &whole.replace("--- exit 0\n", said));
    let fixture = erased;
    let log = fixture.run("log build --from 6");
    assert_eq!(
        log.lines().next(),
        Some("6  <time>  coordination.session_unbound  (erased)"),
        "{log}"
    );
    assert_eq!(fixture.objects("log build --from 6 --json")[0]["erased"], "<hash>");
    let verified = fixture.run("verify build");
    assert_eq!(
        verified.lines().nth(2),
        Some("`coordination/build`: not rebuildable: 1 erased"),
        "{verified}"
    );
}
