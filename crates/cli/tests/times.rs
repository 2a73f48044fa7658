//! Times as people read them: local, with their offset, or in UTC.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::common::{self, Fixture};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Midsummer and midwinter are two hours and one ahead of UTC here.
const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// What a command prints to standard output with this `TZ`.
fn printed(fixture: &Fixture, line: &str, zone: &str) -> String {
    let output = fixture.command(line).env("TZ", zone).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A process that is killed when the test is over.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended needs none.
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// The first line that it prints with this in it.
fn line_with(run: &mut Killed, words: &str) -> String {
    let lines = BufReader::new(run.0.stdout.as_mut().unwrap()).lines();
    lines.map(Result::unwrap).find(|line| line.contains(words)).unwrap()
}

/// The words of a text that are times, to the second, and where they end.
fn times(text: &str) -> Vec<(String, String)> {
    let words = text.split_whitespace().map(|word| word.trim_matches(|c| matches!(c, ',' | ';')));
    let is_time = |word: &&str| word.len() >= 20 && word.as_bytes()[10] == b'T';
    let at_second = |word: &str| {
        let zone = word[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        (word[..19].to_owned(), zone.to_owned())
    };
    words.filter(is_time).map(at_second).collect()
}

#[test]
fn every_command_shows_local_times_and_utc_if_asked_for() {
    let fixture = Fixture::new();
    let commands = ["log build", "list", "status build", "show build test", "receipt show build"];
    for line in commands {
        let (local, utc) = (printed(&fixture, line, "XXX-13"), printed(&fixture, line, "UTC"));
        let (local, utc) = (times(&local), times(&utc));
        assert!(!local.is_empty(), "{line}");
        assert!(local.iter().all(|(_, zone)| zone == "+13:00"), "{line}: {local:?}");
        assert!(utc.iter().all(|(_, zone)| zone == "Z"), "{line}: {utc:?}");
        let asked = times(&printed(&fixture, &format!("{line} --utc"), "XXX-13"));
        assert_eq!(asked, utc, "{line}");
        assert_ne!(local, utc, "{line}");
    }
    let plan =
        "name: test\nbudget: { sessions: 3, duration: 1m }\nwork:\n  a: { command: ['true'] }\n";
    std::fs::write(fixture.path("plan.yaml"), plan).unwrap();
    let lines = printed(&fixture, "run --id r plan.yaml", "XXX-13");
    let prefixes: Vec<bool> =
        lines.lines().take(3).map(|line| line[19..].starts_with("+13:00  ")).collect();
    assert_eq!(prefixes, [true; 3], "{lines}");
    let again = fixture.command("run --id r plan.yaml").env("TZ", "XXX-13").output().unwrap();
    let told = String::from_utf8(again.stderr).unwrap();
    assert!(told.contains("+13:00; nothing was run now"), "{told}");
}

/// The offset that a list shows with this `TZ`.
fn offset(fixture: &Fixture, zone: &str) -> String {
    times(&printed(fixture, "list", zone)).remove(0).1
}

#[test]
fn a_zone_that_is_not_known_is_no_failure_and_times_are_in_utc() {
    let fixture = Fixture::new();
    assert!(["+01:00", "+02:00"].contains(&offset(&fixture, BERLIN).as_str()));
    assert_eq!(offset(&fixture, "<-0330>3:30"), "-03:30");
    let empty = fixture.path("empty");
    std::fs::create_dir(&empty).unwrap();
    for zone in
        ["", "UTC", "Nowhere/Town", ":Nowhere/Town", "\u{1b}[2J", "/", "../../etc/passwd", ","]
    {
        assert_eq!(offset(&fixture, zone), "Z", "{zone:?}");
    }
    let mut gone = fixture.command("list");
    let gone = gone.env("TZ", "Europe/Berlin").env("TZDIR", &empty).output().unwrap();
    assert_eq!(gone.status.code(), Some(0));
}

#[test]
fn json_is_in_utc_whatever_the_zone() {
    let fixture = Fixture::new();
    for line in ["log build --json", "list --json", "status build --json", "show build test --json"]
    {
        let utc = printed(&fixture, line, "UTC");
        let stable = |text: &str| {
            text.lines()
                .map(|line| common::stable(serde_json::from_str(line).unwrap()))
                .collect::<Vec<Value>>()
        };
        assert_eq!(stable(&printed(&fixture, line, "XXX-13")), stable(&utc), "{line}");
        assert!(!utc.contains("+00:00"), "{utc}");
    }
}

#[test]
fn since_reads_local_times_as_they_are_shown() {
    let fixture = Fixture::new();
    let found = |line: &str, zone: &str| printed(&fixture, line, zone).lines().count();
    let started = printed(&fixture, "log build", "XXX-13");
    let local = &times(&started)[0].0;
    assert_eq!(found(&format!("log build --since {local}"), "XXX-13"), 9);
    assert_eq!(found(&format!("log build --since {local} --utc"), "XXX-13"), 0);
    assert_eq!(found(&format!("log build --since {local}+13:00 --utc"), "XXX-13"), 9);
    let utc = fixture.command("log build --since 2200-01-01").env("TZ", "XXX-13").output().unwrap();
    assert_eq!(
        String::from_utf8(utc.stderr).unwrap(),
        "no matching events since 2200-01-01T00:00:00+13:00\n"
    );
}

#[test]
fn how_long_a_session_took_is_told_also_where_its_beginning_is_not_shown() {
    let fixture = Fixture::new();
    let all = fixture.run("log build");
    let ends: Vec<&str> = all.lines().filter(|line| line.contains("session_unbound")).collect();
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|line| line.contains(" after <age>")), "{all}");
    let only = fixture.run("log build --type session_unbound");
    assert_eq!(only.lines().take(3).collect::<Vec<_>>(), ends);
    assert_eq!(fixture.run("log build --from 8 -n 1").lines().next(), all.lines().nth(8));
    assert_eq!(fixture.run("log build --from 8").lines().next(), all.lines().nth(7));
}

/// An item whose second try is a minute away, as both displays and every command tell it.
#[test]
fn a_failed_attempt_is_told_in_the_same_words_everywhere() {
    let fixture = Fixture::empty();
    let plan = "name: test\nbudget: { sessions: 9, duration: 10h }\nwork:\n  flaky: { shell: 'echo bad luck >&2; exit 3', retry: { attempts: 2, backoff: 59s, jitter: 0% } }\n";
    std::fs::write(fixture.path("plan.yaml"), plan).unwrap();
    let mut command = fixture.command("run --id r plan.yaml");
    let mut run = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
    let line = line_with(&mut run, " failed ");
    let end = "after <age>, next try in <age>: exit 3: bad luck";
    assert_eq!(common::masked(&line), format!("<time>  failed flaky (session 1) {end}"));
    let said = |line: &str| fixture.run(line);
    assert!(said("log r").contains(&format!("failed flaky (session 1) {end}\n")));
    assert!(
        said("status r").contains(&format!("flaky  delayed  1        <age>  failed {end}\n")),
        "{}",
        said("status r")
    );
    assert_eq!(said("why r flaky"), format!("flaky: failed {end}\n--- exit 0\n"));
    let shown = said("show r flaky");
    assert!(shown.contains(", failed after <age>, next try in <age>\n"), "{shown}");
    let why = &fixture.objects("why r flaky --json")[0];
    assert_eq!(why["reasons"].as_array().map(Vec::len), Some(1));
    assert_eq!(fixture.objects("status r --json")[0]["items"][0]["state"], json!("delayed"));
    fixture.succeeds("cancel r");
    run.0.wait().unwrap();
}

/// The moment is one for people in each text, and in UTC in JSON.
#[test]
fn what_a_quota_keeps_from_working_says_until_when() {
    const HOUR: i64 = 3_600;
    let fixture = Fixture::empty();
    let until = Timestamp::now().as_second() + HOUR;
    let told = format!(
        "{{\\\"deferred\\\": {{\\\"until\\\": {until}, \\\"reason\\\": \\\"rate limit\\\"}}}}"
    );
    let plan = format!(
        "name: test\nbudget: {{ sessions: 9, duration: 10h }}\nwork:\n  quota: {{ shell: 'echo \"{told}\" > \"$ANTIPHON_RESULT\"' }}\n"
    );
    std::fs::write(fixture.path("plan.yaml"), plan).unwrap();
    let mut command = fixture.command("run --id r plan.yaml");
    let mut run = Killed(command.env("TZ", "XXX-13").stdout(Stdio::piped()).spawn().unwrap());
    let line = line_with(&mut run, " deferred ");
    let at = |second: i64| {
        Timestamp::from_second(second).unwrap().strftime("%Y-%m-%dT%H:%M:%S").to_string()
    };
    let waits = format!("waits until {}+13:00", at(until + 13 * HOUR));
    assert!(line.ends_with(&format!(", {waits}: rate limit")), "{line}");
    assert!(line.contains("  deferred quota (session 1) after "), "{line}");
    let local = |line: &str| printed(&fixture, line, "XXX-13");
    assert!(local("log r").contains(&format!(", {waits}: rate limit\n")));
    assert!(local("status r").contains(&format!("  {waits}: rate limit\n")));
    assert_eq!(local("why r quota"), format!("quota: {waits}: rate limit\n"));
    let shown = local("show r quota");
    assert!(shown.contains(&format!("s, {waits}, exit 0\n")), "{shown}");
    let json = local("status r --json");
    let waits = format!("\"waits\":\"deferred until {}Z\"", at(until));
    assert!(json.contains(&waits), "{json}");
    fixture.succeeds("cancel r");
    run.0.wait().unwrap();
}
