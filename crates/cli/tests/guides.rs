//! The pages of the documentation that lead a reader through commands are followed to the letter:
//! one shell runs the commands of a page in their order, and prints what it says.

#[path = "guides/page.rs"]
mod page;
#[path = "guides/reader.rs"]
mod reader;

use page::{Page, Text};

#[test]
fn getting_started_prints_what_it_says() {
    Page::read("getting-started.md").is_true();
}

#[test]
fn what_to_do_when_something_goes_wrong_prints_what_it_says() {
    Page::read("when.md").is_true();
}

#[test]
fn items_that_talk_to_each_other_print_what_the_page_says() {
    Page::read("agents.md").is_true();
}

#[test]
fn the_recipes_print_what_they_say() {
    Page::read("recipes.md").is_true();
}

/// What is not run is the build, which the test stands beside, and nothing else.
#[test]
fn getting_started_leaves_nothing_but_the_build_to_the_reader() {
    let build = Text { kind: "sh".to_owned(), text: "cargo build --release\n".to_owned() };
    assert_eq!(Page::read("getting-started.md").texts(), [build]);
    assert_eq!(Page::read("when.md").texts(), []);
}

/// The text after each occurrence of a mark, up to the end of its line.
fn after<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| Some(line.split_once(mark)?.1.trim())).collect()
}

/// The block of a page that has this in it.
#[track_caller]
fn block(texts: &[Text], kind: &str, mark: &str) -> String {
    let mut found = texts.iter().filter(|text| text.kind == kind && text.text.contains(mark));
    let one = found.next().unwrap_or_else(|| panic!("there is no {kind} with {mark}"));
    assert_eq!(found.next(), None);
    one.text.clone()
}

/// Nobody can run a service manager, a crontab or a hosted build here, so what these would run is
/// compared with what the page runs.
#[test]
fn the_configuration_in_the_recipes_runs_what_the_page_runs() {
    let page = Page::read("recipes.md");
    let typed: Vec<&str> = page.steps().iter().map(|step| step.typed.trim_end()).collect();
    let runs = |command: &str| {
        let is_run = typed
            .iter()
            .any(|typed| *typed == command || typed.starts_with(&format!("{command}; echo ")));
        assert!(is_run, "the page does not run `{command}`");
    };
    let texts = page.texts();

    let cron = block(&texts, "cron", "nightly");
    let (at, command) = cron.split_at(cron.match_indices(' ').nth(4).unwrap().0);
    assert_eq!(at.split(' ').count(), 5);
    assert!(!command.contains('%'), "cron would take it for the end of the line");
    let (script, log) = command.trim().split_once(" >> ").unwrap();
    assert_eq!(script, "$HOME/nightly/nightly.sh");
    assert_eq!(log, "$HOME/nightly/nightly.log 2>&1");

    // tests/serve_service.rs follows the unit of an engine.
    block(&texts, "ini", "Type=notify");
    let service = block(&texts, "ini", "Type=oneshot");
    assert_eq!(after(&service, "ExecStart="), ["%h/nightly/nightly.sh"]);
    runs("./nightly.sh");
    let timer = block(&texts, "ini", "[Timer]");
    assert_eq!(after(&timer, "OnCalendar="), ["*-*-* 02:30:00"]);
    assert!(at.starts_with("30 2 "), "cron and systemd start it at the same time");

    let build = block(&texts, "yaml", "jobs:");
    let commands = after(&build, "run: antiphon ");
    assert_eq!(commands.len(), 3);
    commands.iter().for_each(|command| runs(&format!("antiphon {command}")));

    let remote = block(&texts, "sh", "ssh ");
    for line in remote.lines() {
        let command = line.split('\'').nth(1).unwrap();
        runs(command.strip_prefix("cd project && ").unwrap_or(command));
    }
    assert_eq!(texts.len(), 6, "every block is looked at");
}
