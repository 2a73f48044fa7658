//! Questions of runs: asked by sessions and programs, answered once and never by a session.

#![expect(clippy::unwrap_used, reason = "what cannot fail here fails the test")]

mod verified;

use std::time::Duration;

use antiphon::approvals::{Answer, FoundQuestion, Question, SessionQuestion};
use antiphon::{Budget, CoordinationConfig, Engine, Output, SessionContext, WorkSpec};
use verified::verified;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn question(text: &str, id: &str) -> Question {
    Question::new(text).unwrap().with_id(id.parse().unwrap()).unwrap()
}

fn found(questions: &[FoundQuestion]) -> Vec<String> {
    let line = |found: &FoundQuestion| {
        let state = &found.state;
        let given = state.answer.as_ref();
        let given = given.map_or("open".to_owned(), |given| {
            let reason = given.reason.as_deref().unwrap_or("no reason");
            format!("{} by {}, {reason}", given.answer, given.by)
        });
        format!("{} {} asked by {}: {given}", found.id, state.text, state.by)
    };
    questions.iter().map(line).collect()
}

#[tokio::test]
async fn a_question_outlives_the_engine_and_its_answer_is_in_the_receipt() -> Result {
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("state");
    let engine = Engine::open(&state).await?;
    let budget = Budget::sessions(100).within(Duration::from_secs(600)).build()?;
    let config = CoordinationConfig::open(Vec::new(), budget)?.with_id("run")?;
    let run = engine.submit(config).await?;
    run.ask(question("Deploy?", "deploy")).await?;
    run.ask(question("Drop it?", "drop").expiring_in(Duration::ZERO)).await?;
    run.ask(question("Later?", "later")).await?;
    engine.close().await?;

    let engine = Engine::open(&state).await?;
    let run = engine.run("run")?;
    let reason = Some("tested".to_owned());
    let version = run.answer("deploy".parse()?, Answer::Yes, reason).await?;
    assert_eq!(run.answer("deploy".parse()?, Answer::Yes, None).await?, version);
    let refused = run.answer("deploy".parse()?, Answer::No, None).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "question deploy was answered with yes by operator at version {version}; an answer stands"
        )
    );
    let there = [
        "deploy Deploy? asked by operator: yes by operator, tested",
        "drop Drop it? asked by operator: no by engine, expired",
        "later Later? asked by operator: open",
    ];
    assert_eq!(found(&run.questions().await?), there);
    run.close("done").await?;
    run.wait().await?;
    assert_eq!(found(&run.questions().await?), there);
    let answers = run.receipt().await?.unwrap().approvals.unwrap().answers;
    let answers: Vec<String> =
        answers.iter().map(|given| format!("{} {}", given.question, given.answer)).collect();
    assert_eq!(answers, ["drop no", "deploy yes"]);
    engine.close().await?;
    verified(&state)
}

#[tokio::test]
async fn a_session_asks_and_answers_nothing() -> Result {
    let dir = tempfile::tempdir()?;
    let mut builder = Engine::builder(dir.path().join("state"))?;
    builder.register("ask", |session: SessionContext| async move {
        let asked = session.ask(Question::new("Go on?")?).await?;
        Ok(Output::text(asked.question.to_string()))
    })?;
    let (sender, mut sessions) = tokio::sync::mpsc::unbounded_channel();
    builder.register("wait", move |session: SessionContext| {
        let sender = sender.clone();
        async move {
            sender.send(session.session().clone())?;
            session.stop_requested().await;
            Ok(Output::none())
        }
    })?;
    let engine = builder.start().await?;
    let budget = Budget::sessions(9).within(Duration::from_secs(600)).build()?;
    let work = vec![WorkSpec::function("a", "ask")?, WorkSpec::function("b", "wait")?];
    let config = CoordinationConfig::of_work(work, budget)?.with_id("run")?;
    let run = engine.submit(config).await?;
    let session = sessions.recv().await.unwrap();
    let id = run.output("a").await?.unwrap().as_text()?.to_owned();
    let refused = run.answer_from(&session, id.parse()?).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "session {session} may not answer question {id}: sessions ask, and a person answers from \
             outside of them"
        )
    );
    let open = format!("{id} Go on? asked by session:run.1: open");
    assert_eq!(found(&run.questions().await?), std::slice::from_ref(&open));
    let asked = run.ask_from(&session, question("Deploy?", "deploy")).await?;
    assert!(matches!(asked, SessionQuestion::Asked(_)));
    run.cancel("enough").await?;
    run.wait().await?;
    let asked = format!("deploy Deploy? asked by session:{session}: open");
    assert_eq!(found(&run.questions().await?), [asked, open]);
    assert_eq!(run.receipt().await?.unwrap().approvals, None);
    engine.close().await?;
    Ok(())
}
