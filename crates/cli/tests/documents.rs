//! What README.md and docs/exit-codes.md say of the commands is what the binary has and prints.

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::Fixture;

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
}

/// The commands of the binary, those of `plan` and `receipt` with both words.
fn commands(fixture: &Fixture) -> BTreeSet<String> {
    let listed = |of: &str| -> Vec<String> {
        let help = fixture.run(&format!("{of} --help"));
        let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Vec::new() };
        let (listed, _) = listed.split_once("\n\n").unwrap();
        listed
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect()
    };
    let mut all = BTreeSet::new();
    for name in listed("") {
        match listed(&name) {
            below if below.is_empty() => assert!(all.insert(name)),
            below => all.extend(below.iter().map(|below| format!("{name} {below}"))),
        }
    }
    all
}

/// The rows of the table that begins with this head.
fn rows<'a>(text: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let (_, table) = text.split_once(head).unwrap();
    let (_, table) = table.split_once("---|\n").unwrap();
    table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A usage line without what is in brackets, and without what the user chooses.
fn name(usage: &str) -> String {
    let fixed = |word: &&str| {
        !word.starts_with(['[', '-']) && word.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    usage
        .split_whitespace()
        .filter(|word| *word != "antiphon")
        .take_while(fixed)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn every_command_has_its_row_of_exit_codes_and_none_is_made_up() {
    let text = document("docs/exit-codes.md");
    let documented: Vec<&str> =
        rows(&text, "| command | 0 |").iter().flat_map(|row| quoted(row[0])).collect();
    let all = commands(&Fixture::empty());
    assert_eq!(documented.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), all);
    assert_eq!(documented.len(), all.len(), "one row each");
}

#[test]
fn every_command_is_in_the_readme_and_none_is_made_up() {
    let text = document("README.md");
    let documented: BTreeSet<String> =
        rows(&text, "| command | |").iter().flat_map(|row| quoted(row[0])).map(name).collect();
    assert_eq!(documented, commands(&Fixture::empty()));
}

/// A line that has the command print what the document tells of it.
fn example(command: &str) -> &str {
    match command {
        "init" => "init other.yaml",
        "run" => "run plan.yaml --id starter",
        "run --detach" => "run --detach plan.yaml --id detached",
        "serve" => "serve --idle-exit 1ms",
        "wait" => "wait build",
        "signal send" => "signal send note --run service --data 1",
        "signal wait" => "signal wait agent_completed --run build",
        "signal tail" => "signal tail --run build --after beginning",
        "signal history" => "signal history --run build",
        "key get" => "key get phase --run service",
        "key set" => "key set phase=1 plan={} --run service",
        "key delete" => "key delete plan --run service",
        "key list" => "key list --run service",
        "key wait" => "key wait phase --run service",
        "gate wait" => "gate wait coverage --at-least=-1 --run service",
        "key watch" => "key watch --run service --after beginning",
        "work add" => "work add more --run service -- true",
        "ask" => "ask Deploy? --id deploy --expires 1h --run service",
        "waiting" => "waiting",
        "approve" => "approve deploy",
        "deny" => "deny drop --reason kept",
        "budget left" => "budget left --run service",
        "context set" => "context set tester context.json --run service",
        "context get" => "context get tester --run service",
        "gate score" => "gate score coverage 0.5 --run service",
        "do" => "do -- true",
        "resume" => "resume build",
        "log" => "log build",
        "show" => "show build compile",
        "logs" => "logs starter",
        "output" => "output build compile",
        "why" => "why build compile",
        "cancel" => "cancel service",
        "pause" => "pause service",
        "continue" => "continue service",
        "status" => "status service",
        "route test" => "route test routes.yaml --state context.json",
        "plan check" => "plan check plan.yaml",
        "plan show" => "plan show plan.yaml",
        "verify" | "list" => command,
        "receipt show" => "receipt show build",
        "receipt export -o FILE" => "receipt export build -o build.json",
        "doctor" => "doctor --quick",
        "backup" => "backup copy",
        "prune" => "prune --keep 0",
        "bench" => "bench spawn.direct",
        "torture" => "torture --rounds 1",
        _ => panic!("`{command}` has no example here"),
    }
}

#[test]
fn every_object_has_the_members_that_are_told_and_no_others() {
    let fixture = Fixture::new();
    fixture.succeeds("init");
    std::fs::write(fixture.path("context.json"), "{}").unwrap();
    fixture.succeeds("ask Drop? --id drop --run service");
    let routes = "name: r\nbudget: { sessions: 1, duration: 1m }\nwork: { a: { command: [x], route: [{ then: end }] } }";
    std::fs::write(fixture.path("routes.yaml"), routes).unwrap();
    let text = document("docs/exit-codes.md");
    let mut seen = 0;
    // What is paused can be continued, and what is cancelled can neither; it can be watched to its end.
    let mut table = rows(&text, "| command | what |");
    // The engine that stays is the last to come.
    let order = ["`cancel`", "`key wait`, `gate wait`", "`key watch`", "`run --detach`"];
    table.sort_by_key(|row| order.iter().position(|last| row[0] == *last).map_or(0, |at| at + 1));
    for row in &table {
        let (always, sometimes) = (quoted(row[2]), quoted(row[3]));
        for command in quoted(row[0]) {
            let output = fixture.output(&format!("--json {}", example(command)));
            let printed = String::from_utf8(output.stdout).unwrap();
            let objects: Vec<serde_json::Map<String, serde_json::Value>> =
                serde_json::Deserializer::from_str(&printed)
                    .into_iter()
                    .map(Result::unwrap)
                    .collect();
            assert!(
                !objects.is_empty(),
                "`{command}` printed nothing: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(
                objects.len() == 1 || row[1].contains("on a line for each"),
                "`{command}` prints more than one"
            );
            for object in objects {
                let missing: Vec<_> =
                    always.iter().filter(|member| !object.contains_key(**member)).collect();
                let untold: Vec<_> = object
                    .keys()
                    .filter(|member| {
                        !always.contains(&member.as_str()) && !sometimes.contains(&member.as_str())
                    })
                    .collect();
                assert!(
                    missing.is_empty() && untold.is_empty(),
                    "`{command}`: missing {missing:?}, untold {untold:?}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > table.len(), "every row was looked at");
}

#[test]
fn what_only_applies_sometimes_is_told_too() {
    let fixture = Fixture::erased();
    let text = document("docs/exit-codes.md");
    let members = |command: &str| -> BTreeSet<String> {
        let table = rows(&text, "| command | what |");
        let row = table.iter().find(|row| quoted(row[0]).contains(&command)).unwrap();
        quoted(row[2]).into_iter().chain(quoted(row[3])).map(str::to_owned).collect()
    };
    let mut log = BTreeSet::new();
    for event in fixture.objects("log build --json") {
        log.extend(event.as_object().unwrap().keys().cloned());
    }
    assert!(log.contains("erased") && log.is_subset(&members("log")), "{log:?}");

    std::fs::write(fixture.path("bad.yaml"), "name: bad\n").unwrap();
    for command in ["run bad.yaml", "plan check bad.yaml"] {
        let output = fixture.output(&format!("{command} --json"));
        let documented: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            documented.keys().cloned().collect::<BTreeSet<_>>(),
            members("plan check"),
            "{command}"
        );
        assert_eq!(output.status.code(), Some(5), "{command}");
    }
}
