//! Own types of signals whose data must fit a schema, with real processes.

use crate::plans::{Ran, Result, Running, ran};

const BIN: &str = env!("CARGO_BIN_EXE_antiphon");

fn printed(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stderr).trim_end().to_owned()
}

#[test]
fn a_signal_that_does_not_fit_its_schema_is_refused_whoever_sends_it_and_also_later() -> Result {
    let dir = tempfile::tempdir()?;
    let plan = format!(
        r#"name: typed
budget: {{ sessions: 9, duration: 5m }}
signals:
  review.done:
    schema:
      type: object
      required: [verdict]
      properties: {{ verdict: {{ enum: [good, bad] }}, lines: {{ type: integer, minimum: 0 }} }}
  plain: {{}}
work:
  review:
    shell: |
      {BIN} signal send review.done --data '{{"verdict": "fine"}}' 2> said.txt; echo $? >> said.txt
      {BIN} signal send review.done --data '{{"verdict": "good", "lines": 3}}'
      {BIN} signal send plain --data '[1]'
      {BIN} signal send other --data '"anything"'
  ship: {{ shell: 'true', needs: [review, {{ key: state/go }}] }}
"#
    );
    std::fs::write(dir.path().join("plan.yaml"), plan)?;
    let mut engine = Running::start(dir.path(), &["run", "plan.yaml", "--id", "r"])?;
    engine.until(dir.path(), "r", "agent_completed", "review")?;
    let refused = std::fs::read_to_string(dir.path().join("said.txt"))?;
    assert_eq!(
        refused,
        "error: the data of signal review.done does not fit its schema at /verdict: \"fine\" is not one of \
         \"good\" or \"bad\"\n2\n"
    );
    engine.kill()?;
    // It holds in every process that has the ledger, also where nobody carries the run out.
    let send = |data: &[&str]| {
        ran(dir.path(), &[&["signal", "send", "review.done", "--run", "r"], data].concat())
    };
    for (data, problem) in [
        (&[][..], " schema: \"verdict\" is a required property"),
        (&["--data", "[]"][..], " schema: [] is not of type \"object\""),
        (
            &["--data", r#"{"verdict":"bad","lines":-1}"#][..],
            " schema at /lines: -1 is less than the minimum of 0",
        ),
    ] {
        let refused = send(data)?;
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(problem), "{}", said(&refused));
    }
    assert_eq!(send(&["--data", r#"{"verdict":"bad"}"#])?.status.code(), Some(0));
    let history = printed(&ran(dir.path(), &["signal", "history", "review.done", "--run", "r"])?);
    assert_eq!(history.lines().count(), 2, "{history}");
    assert_eq!(
        ran(dir.path(), &["key", "set", "state/go=1", "--run", "r"])?.status.code(),
        Some(0)
    );
    assert_eq!(ran(dir.path(), &["resume", "r"])?.status.code(), Some(0));
    assert_eq!(ran(dir.path(), &["verify"])?.status.code(), Some(0));
    Ok(())
}
