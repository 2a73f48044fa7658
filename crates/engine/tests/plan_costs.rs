//! Plans cost what their size suggests, name only files, and let no output be run as code.

#![allow(clippy::unwrap_used, reason = "a plan that cannot be read has failed the test")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use antiphon::coordination::Need;
use antiphon::plan::{Environment, Plan, Wanted, parse};

const HEAD: &str = "name: p\nbudget: { sessions: 10000, duration: 1h }\nwork:\n";

/// Processor time that this thread takes, at most: others may be busy.
fn within(most: Duration, work: impl FnOnce()) {
    let taken = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
    };
    let before = taken();
    work();
    let taken = taken() - before;
    assert!(taken < most, "it took {taken:?}");
}

fn refused(text: &str) -> String {
    parse(text, Path::new("/plans/p.yaml")).unwrap_err().to_string()
}

#[test]
fn many_names_that_are_not_quite_right_are_told_soon() {
    let long = "i".repeat(115);
    let mut near = HEAD.to_owned();
    for index in 0..3_500 {
        writeln!(near, " {long}{index:05}: {{command: [a], needs: [{long}{index:05}xx]}}").unwrap();
    }
    let mut keys = HEAD.to_owned();
    for index in 0..20_000 {
        writeln!(keys, " a{index}: {{command: [a], nedes: [b], comand: [c]}}").unwrap();
    }
    within(Duration::from_secs(5), || {
        let told = refused(&near);
        assert!(told.contains("did you mean") && told.ends_with(" more"), "{told}");
    });
    within(Duration::from_secs(10), || {
        refused(&keys);
    });
}

#[test]
fn needs_that_are_named_again_and_again_cost_nothing() {
    let cells: Vec<String> = (0..9_000).map(|cell| cell.to_string()).collect();
    let again = "m, ".repeat(20_000);
    let text = format!(
        "{HEAD}  m: {{ command: [a, '{{{{c}}}}'], group: g, matrix: {{ c: [{}] }} }}\n  \
        b: {{ command: [b], needs: [{again}m] }}\n",
        cells.join(",")
    );
    within(Duration::from_secs(5), || {
        let plan = parse(&text, Path::new("/plans/p.yaml")).unwrap();
        assert!(plan.compile(&Environment::Unknown).is_err(), "too many for one record");
    });
}

#[test]
fn thousands_of_cells_of_one_nested_plan_are_compiled_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut inner = HEAD.replace("10000", "200");
    for index in 0..200 {
        writeln!(inner, "  a{index}: {{ command: [echo, a] }}").unwrap();
    }
    std::fs::write(dir.path().join("inner.yaml"), inner).unwrap();
    let cells: Vec<String> = (0..9_000).map(|cell| cell.to_string()).collect();
    let outer = format!(
        "{}  m: {{ plan: inner.yaml, as: 'a{{{{c}}}}', matrix: {{ c: [{}] }} }}\n",
        HEAD.replace("10000", "4000000"),
        cells.join(",")
    );
    std::fs::write(dir.path().join("outer.yaml"), outer).unwrap();
    within(Duration::from_secs(5), || {
        let plan = Plan::read(dir.path().join("outer.yaml")).unwrap();
        let compiled = plan.compile(&Environment::Unknown).unwrap();
        assert_eq!((compiled.config.work().len(), compiled.nested.len()), (9_000, 1));
    });
}

#[test]
fn a_plan_that_nobody_waits_for_is_read_no_further() {
    let dir = tempfile::tempdir().unwrap();
    // A file with a problem, which shows whether it was read.
    std::fs::write(dir.path().join("inner.yaml"), "nonsense").unwrap();
    let text = format!("{HEAD}  a: {{ plan: inner.yaml }}\n");
    let given_up = Wanted::default();
    let read = || Plan::read_text(&text, "p.yaml", dir.path(), &given_up).unwrap_err().to_string();
    assert!(read().starts_with(&dir.path().join("inner.yaml").display().to_string()));
    given_up.give_up();
    let told = "p.yaml: reading this plan took too long, or nobody waits for it any more";
    assert_eq!(read(), told);

    std::fs::write(dir.path().join("inner.yaml"), HEAD.to_owned() + "  b: { command: [b] }\n")
        .unwrap();
    let plan = Plan::read_text(&text, "p.yaml", dir.path(), &Wanted::default()).unwrap();
    let hour = Duration::from_secs(3_600);
    let inner = dir.path().join("inner.yaml");
    let bytes = text.len() + std::fs::read(&inner).unwrap().len();
    for (bytes, told) in
        [(bytes, None), (bytes - 1, Some(told.replace("p.yaml", &inner.display().to_string())))]
    {
        let within = Wanted::default().for_at_most(hour, bytes);
        let read = Plan::read_text(&text, "p.yaml", dir.path(), &within);
        assert_eq!(read.err().map(|error| error.to_string()), told);
        assert_eq!(within.is_over(), told.is_some());
    }
    let at_once = Wanted::default().for_at_most(Duration::ZERO, usize::MAX);
    let error = plan.compile_while(&Environment::Unknown, &at_once).unwrap_err();
    assert_eq!(error.to_string(), told);
}

#[test]
fn an_item_may_read_what_ten_thousand_cells_put_out() {
    let lists: Vec<String> = (0..100).map(|cell| format!("value-{cell:03}")).collect();
    let lists = lists.join(",");
    let text = format!(
        "{}  cell: {{ command: [a, '{{{{a}}}}{{{{b}}}}'], matrix: {{ a: [{lists}], b: [{}] }} }}\n  \
        join: {{ command: [wc], stdin: '{{{{cell.output}}}}', needs: [cell] }}\n",
        HEAD.replace("10000", "20000"),
        lists.rsplit_once(',').unwrap().0
    );
    let plan = parse(&text, Path::new("/plans/p.yaml")).unwrap();
    let compiled = plan.compile(&Environment::Unknown).unwrap();
    let join = compiled.config.work().last().unwrap();
    assert_eq!(join.needs, [Need::Group("cell".parse().unwrap())]);
    // Where there is room, its members are needed by name, as they always were.
    let few = text.replace(&lists, "x");
    let few = parse(&few, Path::new("/plans/p.yaml")).unwrap();
    let compiled = few.compile(&Environment::Unknown).unwrap();
    assert_eq!(compiled.config.work().last().unwrap().needs.len(), 1 + 99);
}

#[test]
#[cfg(target_os = "linux")]
fn an_input_that_cannot_be_read_is_told_where_it_is_submitted() {
    // A file that even root cannot read from its beginning.
    let text = format!("{HEAD}  a: {{ command: [a], input: {{ x: /proc/self/mem }} }}\n");
    let plan = Plan::read_text(&text, "p.yaml", "/", &Wanted::default()).unwrap();
    let submitted = Environment::Of(Default::default());
    let told = plan.compile(&submitted).unwrap_err().to_string();
    let expected = "p.yaml:4:34: the input file /proc/self/mem cannot be read: Input/output error (os error 5) \
                    (make it readable for the user who runs this)";
    assert_eq!(told, expected);
}

#[test]
fn nested_plans_are_files() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("inner.yaml"), fifo, mode, 0).unwrap();
    std::fs::write(dir.path().join("p.yaml"), format!("{HEAD}  a: {{ plan: inner.yaml }}\n"))
        .unwrap();
    let told = Plan::read(dir.path().join("p.yaml")).unwrap_err().to_string();
    assert!(told.ends_with("cannot read this file: it is a pipe, not a regular file"), "{told}");
}

#[test]
fn outputs_do_not_become_code() {
    let with = |work: &str| format!("{HEAD}  a: {{ command: [a] }}\n{work}");
    let told = refused(&with("  b: { command: [sh, -c, 'echo {{a.output}}'], needs: [a] }\n"));
    assert_eq!(
        told,
        "/plans/p.yaml:5:17: `sh` would run the output of an item as part of its code (pass it as \
        an argument, for example [sh, -c, 'echo \"$1\"', sh, \"{{ITEM.output}}\"], or in `env`, \
        and write \"$1\" or \"$NAME\" in the script)"
    );
    let others = [
        "  b: { command: ['true'], check: [bash, -ec, 'test {{a.output}}'], needs: [a] }\n",
        "  b: { command: [sh], stdin: '{{a.output}}', needs: [a] }\n",
        "  b: { command: [python3, -c, '{{input.x}}'], input: { x: { value: '{{a.output}}' } }, needs: [a] }\n",
        "  b: { runner: r, code: '{{a.output}}', needs: [a] }\nrunners: { r: { command: [node, -e, '{{code}}'] } }\n",
        "  b: { command: [ssh, host, run, '{{a.output}}'], needs: [a] }\n",
    ];
    for work in others {
        let told = refused(&with(work));
        assert!(told.contains("would run the output of an item"), "{work}: {told}");
    }
    let taken = "  b: { command: [sh, -c, 'echo \"$1$A\"', sh, '{{a.output}}'], env: { A: '{{a.output}}' }, stdin: '{{a.output}}', needs: [a] }\n  \
        c: { command: [sh, -c, 'echo {{m}}'], matrix: { m: [1, 2] } }\n";
    parse(&with(taken), Path::new("/plans/p.yaml")).unwrap();
}

#[test]
fn a_ceiling_that_no_item_counts_against_is_a_problem() {
    let with = |work: &str| {
        format!(
            "name: p\nbudget: {{ sessions: 9, duration: 1h, tokens: 5k, cost: 1 USD }}\nwork:\n{work}"
        )
    };
    let told = refused(&with("  a: { command: [a] }\n"));
    let why = "cannot be enforced, because no item of this plan sets `usage`";
    assert!(told.contains(&format!("`tokens` {why}")) && told.contains(&format!("`cost` {why}")));
    let one = with("  a: { command: [a] }\n  b: { command: [b], usage: result }\n");
    parse(&one, Path::new("/plans/p.yaml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("outer.yaml", &with("  a: { plan: inner.yaml }\n"));
    write("inner.yaml", &format!("{}  a: {{ command: [a] }}\n", HEAD.replace("10000", "1")));
    let told = Plan::read(dir.path().join("outer.yaml")).unwrap_err().to_string();
    assert!(told.contains("outer.yaml:2:") && told.contains(why), "{told}");
    write("inner.yaml", &one);
    Plan::read(dir.path().join("outer.yaml")).unwrap();
}

#[test]
fn what_is_kept_of_an_output_has_a_ceiling() {
    let with =
        |size: &str| format!("{HEAD}  a: {{ command: [a], limits: {{ output: {size} }} }}\n");
    parse(&with("256MiB"), Path::new("/plans/p.yaml")).unwrap();
    let told = refused(&with("1TiB"));
    assert!(told.contains("at most 256 MiB of each output can be kept"), "{told}");
}
