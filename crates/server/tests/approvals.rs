//! Questions over the socket: asked, listed, waited for, answered once, and refused.

use std::time::Duration;

use crate::common::{Bench, Result};
use antiphon::coordination::MAX_OPEN_QUESTIONS;
use antiphon::id::CoordinationId;
use antiphon_server::{
    AnswerRequest, Client, ClientError, Code, QuestionLine, QuestionPage, QuestionRequest,
};

fn named(id: &str, question: &str) -> QuestionRequest {
    let id = Some(id.to_owned());
    QuestionRequest { question: question.to_owned(), id, expires_in_ms: None }
}

fn answer(answer: &str, reason: Option<&str>) -> AnswerRequest {
    AnswerRequest { answer: answer.to_owned(), reason: reason.map(str::to_owned) }
}

fn told(question: &QuestionLine) -> String {
    let QuestionLine { run, id, question, by, answer, ended, .. } = question;
    let answer = answer.as_ref().map_or("open".to_owned(), |given| {
        let reason = given.reason.as_deref().unwrap_or("-");
        format!("{} by {} at {}: {reason}", given.answer, given.by, given.version)
    });
    let ended = if *ended { ", ended" } else { "" };
    format!("{run} {id} {question:?} of {by}: {answer}{ended}")
}

fn lines(page: &QuestionPage) -> Vec<String> {
    page.questions.iter().map(told).collect()
}

fn code(error: &ClientError) -> Option<Code> {
    error.problem().and_then(|problem| problem.known_code())
}

fn faults(error: &ClientError) -> Vec<String> {
    let faults = error.problem().unwrap().errors.iter();
    faults.map(|fault| format!("{} {}", fault.pointer.as_deref().unwrap(), fault.detail)).collect()
}

#[tokio::test]
async fn a_question_is_asked_once_waited_for_and_answered_with_who_and_why() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    bench.start("other", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    let deploy = named("deploy", "Deploy?");
    let asked = client.ask(&run, &deploy, Some("key")).await?;
    assert_eq!((asked.id.as_str(), asked.version, &asked.answer), ("deploy", 2, &None));
    assert_eq!(client.ask(&run, &deploy, Some("key")).await?, asked);
    assert_eq!(client.ask(&run, &deploy, None).await?, asked);
    let unnamed = QuestionRequest { question: "Drop?".to_owned(), ..QuestionRequest::default() };
    let other = CoordinationId::new("other")?;
    assert_eq!(client.ask(&other, &unnamed, None).await?.id, "q2");
    let odd = named("q/3 ?", "Sure?");
    client.ask(&other, &odd, None).await?;
    assert_eq!(client.question(&other, "q/3 ?").await?.question, "Sure?");
    client.answer(&other, "q/3 ?", &answer("no", None), None).await?;
    let answered = client.questions(&other, false, Some("other/q/3 "), 10).await?;
    assert_eq!(answered.questions[0].answer.as_ref().unwrap().answer, "no");

    let all =
        ["inbox deploy \"Deploy?\" of operator: open", "other q2 \"Drop?\" of operator: open"];
    assert_eq!(lines(&client.open_questions(None, 10).await?), all);
    let first = client.open_questions(None, 1).await?;
    assert_eq!(
        (lines(&first), first.next.as_deref()),
        (vec![all[0].to_owned()], Some("inbox/deploy"))
    );
    let second = client.open_questions(first.next.as_deref(), 1).await?;
    assert_eq!((lines(&second), second.next), (vec![all[1].to_owned()], None));
    let question = client.question(&run, "deploy").await?;
    assert!(question.expires.is_none() && question.asked.ends_with('Z'), "{question:?}");

    let waiting = tokio::spawn({
        let (client, run) = (client.clone(), run.clone());
        async move { client.answered(&run, "deploy").await.map_err(|error| error.to_string()) }
    });
    let yes = answer("yes", Some("tested"));
    assert_eq!(client.answer(&run, "deploy", &yes, Some("a")).await?.version, 3);
    assert_eq!(client.answer(&run, "deploy", &yes, Some("a")).await?.version, 3);
    assert_eq!(client.answer(&run, "deploy", &answer("yes", None), None).await?.version, 3);
    let given = "inbox deploy \"Deploy?\" of operator: yes by operator at 3: tested";
    assert_eq!(told(&waiting.await??), given);
    assert_eq!(told(&client.answered(&run, "deploy").await?), given);
    let found = client.ask(&run, &deploy, None).await?;
    assert_eq!(found.answer.unwrap().answer, "yes");
    assert_eq!(lines(&client.questions(&run, true, None, 10).await?), Vec::<String>::new());
    assert_eq!(lines(&client.questions(&run, false, None, 10).await?), [given]);

    // One that nobody answers: whoever waits hears of the end.
    client.ask(&run, &named("late", "Later?"), None).await?;
    let waiting = tokio::spawn({
        let (client, run) = (client.clone(), run.clone());
        async move { client.answered(&run, "late").await.map_err(|error| error.to_string()) }
    });
    bench.engine.run("inbox")?.close("done").await?;
    bench.engine.run("inbox")?.wait().await?;
    let late = "inbox late \"Later?\" of operator: open, ended";
    assert_eq!(told(&waiting.await??), late);
    assert_eq!(lines(&client.questions(&run, false, Some("inbox/deploy"), 10).await?), [late]);
    assert_eq!(lines(&client.questions(&run, true, None, 10).await?), Vec::<String>::new());
    let error = client.answer(&run, "late", &yes, None).await.unwrap_err();
    assert_eq!(code(&error), Some(Code::RunEnded));
    bench.stop().await
}

#[tokio::test]
async fn one_that_expires_is_answered_by_the_engine_which_does_not_count_as_idle_before() -> Result
{
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    assert!(bench.engine.at_work().await?.is_empty());
    let hour = QuestionRequest { expires_in_ms: Some(3_600_000), ..named("hour", "In an hour?") };
    client.ask(&run, &hour, None).await?;
    assert_eq!(bench.engine.at_work().await?, [run.clone()].into());
    assert!(client.question(&run, "hour").await?.expires.is_some());
    client.answer(&run, "hour", &answer("no", None), None).await?;
    assert!(bench.engine.at_work().await?.is_empty());

    let soon = QuestionRequest { expires_in_ms: Some(1), ..named("soon", "Now?") };
    client.ask(&run, &soon, None).await?;
    let told = told(&client.answered(&run, "soon").await?);
    assert_eq!(told, "inbox soon \"Now?\" of operator: no by engine at 5: expired");
    assert!(bench.engine.at_work().await?.is_empty());
    bench.stop().await
}

#[tokio::test]
async fn what_is_wrong_with_a_question_or_an_answer_has_a_code_and_changes_nothing() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    client.ask(&run, &named("deploy", "Deploy?"), None).await?;
    client.answer(&run, "deploy", &answer("no", Some("not today")), None).await?;
    let before = bench.engine.run("inbox")?.status().await?.version;

    let blank = QuestionRequest { id: Some("-b".to_owned()), ..named("", " ") };
    let error = client.ask(&run, &blank, None).await.unwrap_err();
    assert_eq!(faults(&error), ["/question the question is empty; say something in it"]);
    let dash = client.ask(&run, &named("-f", "Is it?"), None).await.unwrap_err();
    assert!(faults(&dash)[0].ends_with("begins with a dash, as flags do; choose another one"));
    let minted = client.ask(&run, &named("q7", "Is it?"), None).await.unwrap_err();
    assert!(faults(&minted)[0].starts_with("/id q7 cannot be chosen"), "{minted:?}");
    let error = client.ask(&run, &named("deploy", "Destroy?"), None).await.unwrap_err();
    assert_eq!(code(&error), Some(Code::OtherQuestion));
    let error = client.answer(&run, "deploy", &answer("yes", None), None).await.unwrap_err();
    assert_eq!(code(&error), Some(Code::AnsweredOtherwise));
    assert_eq!(
        error.to_string(),
        "question deploy was answered with no by operator at version 3; an answer stands"
    );
    let error = client.answer(&run, "none", &answer("yes", None), None).await.unwrap_err();
    assert_eq!(code(&error), Some(Code::UnknownQuestion));
    for waits in [client.question(&run, "none").await, client.answered(&run, "none").await] {
        assert_eq!(code(&waits.unwrap_err()), Some(Code::UnknownQuestion));
    }
    for (odd, fault) in [
        (answer("perhaps", None), "/answer `answer` must be `yes` or `no`"),
        (answer("", None), "/answer `answer` must be `yes` or `no`"),
    ] {
        let error = client.answer(&run, "deploy", &odd, None).await.unwrap_err();
        assert_eq!(faults(&error), [fault]);
    }
    let missing = bench.post("/v1/runs/inbox/approvals/deploy/answer", "{}").await?;
    assert!(missing.contains("`answer` is missing"), "{missing}");
    let unknown = CoordinationId::new("unknown")?;
    for refused in [
        client.ask(&unknown, &named("a", "A?"), None).await.map(drop),
        client.questions(&unknown, true, None, 10).await.map(drop),
        client.questions(&unknown, false, None, 10).await.map(drop),
        client.question(&unknown, "a").await.map(drop),
        client.answered(&unknown, "a").await.map(drop),
    ] {
        assert_eq!(code(&refused.unwrap_err()), Some(Code::UnknownRun));
    }
    for path in [
        "/v1/approvals?cursor=x",
        "/v1/approvals?limit=0",
        "/v1/approvals?open=true",
        "/v1/runs/inbox/approvals?open=perhaps",
        "/v1/runs/inbox/approvals/a%0Ab",
        "/v1/runs/inbox/approvals/deploy?wait=long",
    ] {
        let answer = bench.get(path).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    assert_eq!(bench.engine.run("inbox")?.status().await?.version, before);
    bench.stop().await
}

#[tokio::test]
async fn no_more_are_open_than_can_be_and_none_is_longer_than_it_may() -> Result {
    let bench = Bench::new().await?;
    bench.start("inbox", "open").await?;
    let (client, run) = (Client::connect(&bench.dir).await?, CoordinationId::new("inbox")?);
    for n in 0..MAX_OPEN_QUESTIONS {
        client.ask(&run, &named(&format!("n{n}"), "Is it so?"), None).await?;
    }
    let one_more = named("more", "And this?");
    let error = client.ask(&run, &one_more, None).await.unwrap_err();
    assert_eq!(code(&error), Some(Code::TooManyOpen));
    assert_eq!(client.ask(&run, &named("n7", "Is it so?"), None).await?.id, "n7");
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let page = client.open_questions(next.as_deref(), 300).await?;
        found.extend(page.questions.into_iter().map(|question| question.id));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = (0..MAX_OPEN_QUESTIONS).map(|n| format!("n{n}")).collect();
    expected.sort();
    assert_eq!(found, expected);
    client.answer(&run, "n7", &answer("yes", None), None).await?;
    client.ask(&run, &one_more, None).await?;

    let long = client.ask(&run, &named("long", &"x".repeat(1_001)), None).await.unwrap_err();
    let fault = "/question the question takes 1001 bytes; at most 1000 are allowed";
    assert_eq!(faults(&long), [fault]);
    let reason = "x".repeat(1_001);
    let long = client.answer(&run, "n8", &answer("no", Some(&reason)), None).await.unwrap_err();
    assert_eq!(code(&long), Some(Code::Refused));
    let huge = named("huge", &"x".repeat(10_000_000));
    let huge = tokio::time::timeout(Duration::from_secs(20), client.ask(&run, &huge, None));
    // It is refused, and the connection closed, before all of it has come.
    let huge = huge.await?.unwrap_err();
    assert!(matches!(code(&huge), Some(Code::BodyTooLarge) | None), "{huge}");
    let unknown = client.question(&run, "huge").await.unwrap_err();
    assert_eq!(code(&unknown), Some(Code::UnknownQuestion));
    bench.stop().await
}
