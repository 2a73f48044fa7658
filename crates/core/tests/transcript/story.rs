//! Carries out the commands of a transcript on an audited world with a clock that only `advance`
//! moves.

use std::collections::BTreeMap;

use antiphon_core::coordination::{
    About, Answer, Capability, Charge, KeyValue, Latest, Report, Runners, SessionEnd,
    SessionOutcome, SkipReason, TreeReport,
};
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Recorded;
use antiphon_core::event::StopKind;
use antiphon_core::id::{CoordinationId, Fence, SessionId, Version, WorkId};
use antiphon_core::time::{Deadline, LedgerTime, Now, WallTime};
use antiphon_core::world::{
    Action, Asker, Command, Done, Reply, SessionQuestion, Started, TakenUp, Turn, Written, commands,
};

use super::render;
use super::words::{self, Words};
use crate::auditor::{Audited, Restart};

/// Wall-clock time at the beginning of every transcript.
const FIRST_WALL: u64 = 1_000_000_000_000_000;

pub(crate) struct Story {
    audited: Audited,
    passed: u64,
    runners: Runners,
    /// Configurations by name: the line that states one and its items.
    plans: BTreeMap<String, (String, Vec<String>)>,
    fences: BTreeMap<SessionId, Fence>,
    opening: Vec<String>,
    /// The hashes of the commits that were appended, in order.
    commits: Vec<u8>,
}

impl Story {
    pub(crate) fn new() -> Self {
        let (audited, turns) = Audited::open(&now(0));
        let mut story = Self {
            audited,
            passed: 0,
            runners: Runners::default(),
            plans: BTreeMap::new(),
            fences: BTreeMap::new(),
            opening: Vec::new(),
            commits: Vec::new(),
        };
        story.register("work", true, true);
        story.opening = story.show(&turns);
        story
    }

    /// Carries out one command and says what came of it.
    pub(crate) fn play(&mut self, line: &str, items: &[String]) -> Vec<String> {
        let words = Words::parse(line);
        match words.at(0) {
            "opening" => std::mem::take(&mut self.opening),
            "register" if words.at(1) == "fn" => {
                self.register(words.at(2), words.has("tokens"), words.has("cost"));
                self.turns(usize::MAX)
            }
            "processes" => {
                self.runners.allow_processes();
                self.audited.set_runners(self.runners.clone());
                self.turns(usize::MAX)
            }
            "secrets" => {
                self.audited.world.hold_secrets(&words.at(1).parse().unwrap());
                self.turns(usize::MAX)
            }
            "register" => {
                let sessions = words.number("sessions").unwrap_or(100);
                self.runners.add_plan(words.at(2).parse().unwrap(), sessions);
                self.audited.set_runners(self.runners.clone());
                self.plans.insert(words.at(2).to_owned(), (line.to_owned(), items.to_vec()));
                self.turns(usize::MAX)
            }
            "advance" => {
                self.passed += words::nanos(words.at(1));
                self.turns(usize::MAX)
            }
            "crash" => {
                let how = if words.has("snapshot") {
                    Restart::FromSnapshots
                } else {
                    Restart::FromEvents
                };
                let taken_up = if words.has("alone") { TakenUp::Asked } else { TakenUp::All };
                let turns = self.audited.restart_carrying(taken_up, how, &now(self.passed));
                self.show(&turns)
            }
            "keys" => self.keys(&words),
            "questions" => self.questions(&words),
            "latest" => vec![self.latest(&words)],
            "why" => self.why(words.at(1), words.at(2)),
            "deadline" => {
                let (at, wall) = self.audited.world.next_deadline();
                let both = [at.map(Deadline::Ledger), wall.map(Deadline::Wall)];
                let both: Vec<String> = both.into_iter().flatten().map(render::deadline).collect();
                vec![if both.is_empty() { "none".to_owned() } else { both.join(", ") }]
            }
            "state" => vec![render::state(self.audited.replayed(words.at(1)).unwrap())],
            "receipt" => render::receipt(self.audited.replayed(words.at(1)).unwrap()),
            _ => self.command(&words, items),
        }
    }

    fn register(&mut self, name: &str, reports_tokens: bool, reports_cost: bool) {
        self.runners.add_function(
            name.parse().unwrap(),
            Capability { reports_tokens, reports_cost, sessions: None },
        );
        self.audited.set_runners(self.runners.clone());
    }

    /// Gives the world the command that a line states; `turns=1` ends the story's engine after so
    /// many turns.
    fn command(&mut self, words: &Words, items: &[String]) -> Vec<String> {
        let command = match self.parse(words, items) {
            Ok(command) => command,
            Err(refusal) => return vec![format!("refused: {refusal}")],
        };
        let actor =
            words.get("by").filter(|by| !by.contains('.')).unwrap_or("alice").parse().unwrap();
        let asker = Asker { actor, id: words.get("id").map(|id| id.parse().unwrap()) };
        let reply = self.audited.tell_as(command, asker, &now(self.passed));
        let mut out = vec![match &reply {
            Ok(Reply::Expanded(())) => "done".to_owned(),
            Ok(
                Reply::AskQuestion(asked)
                | Reply::AskSessionQuestion(SessionQuestion::Asked(asked)),
            ) => render::asked(asked),
            Ok(Reply::Start(Started::New)) => "done at 1".to_owned(),
            Ok(Reply::Start(Started::Existing { coordination })) => {
                format!("{coordination} is there already")
            }
            Ok(
                Reply::EndSession(Written::Refused)
                | Reply::AddSessionWork(Written::Refused)
                | Reply::SendSessionSignal(Written::Refused)
                | Reply::SetSessionKeys(Written::Refused)
                | Reply::SetSharedKeys(Written::Refused)
                | Reply::AskSessionQuestion(SessionQuestion::Refused)
                | Reply::AnswerSessionQuestion(Written::Refused),
            ) => "write refused".to_owned(),
            Ok(
                Reply::EndSession(Written::Done(Done { version }))
                | Reply::AddSessionWork(Written::Done(Done { version }))
                | Reply::SendSessionSignal(Written::Done(Done { version }))
                | Reply::SendSignal(Done { version })
                | Reply::SetKeys(Done { version })
                | Reply::SetSessionKeys(Written::Done(Done { version }))
                | Reply::AnswerQuestion(Done { version })
                | Reply::AnswerSessionQuestion(Written::Done(Done { version }))
                | Reply::SetSharedKeys(Written::Done(Done { version }))
                | Reply::AddWork(Done { version })
                | Reply::Cleared(Done { version })
                | Reply::Stop(Done { version })
                | Reply::Pause(Done { version })
                | Reply::Continue(Done { version })
                | Reply::RaiseBudget(Done { version })
                | Reply::Skip(Done { version })
                | Reply::TakeUp(Done { version })
                | Reply::Interrupt(Done { version })
                | Reply::Erase(Done { version }),
            ) => format!("done at {version}"),
            Err(refusal) => format!("refused: {refusal}"),
        }];
        out.extend(self.turns(words.number("turns").unwrap_or(usize::MAX)));
        out
    }

    fn parse(&self, words: &Words, items: &[String]) -> Result<Command, String> {
        let id = || -> Result<CoordinationId, String> {
            words.at(1).parse().map_err(|error| format!("{error}"))
        };
        let reason = words.text("reason");
        let stop = |kind| {
            Ok(Command::Stop(commands::Stop { coordination: id()?, kind, reason: reason.clone() }))
        };
        match words.at(0) {
            "interrupt" => Ok(Command::Interrupt(commands::Interrupt {
                coordination: id()?,
                reason,
                ends_sessions: words.has("ending-sessions"),
            })),
            "take-up" => Ok(Command::TakeUp(commands::TakeUp { coordination: id()? })),
            "start" => {
                let (id, mut config) = (id()?, words::config(words, items)?);
                if !words.has("minted") {
                    config = config.with_id(id.as_str()).map_err(|error| error.to_string())?;
                }
                Ok(Command::Start(commands::Start {
                    id,
                    config: Box::new(config),
                    blobs: Vec::new(),
                }))
            }
            "add" => {
                let (items, archived, blobs) = (words::work(items), Vec::new(), Vec::new());
                let Some(session) = words.get("by").filter(|by| by.contains('.')) else {
                    let coordination = id()?;
                    let work = commands::AddWork { coordination, items, archived, blobs };
                    return Ok(work.into());
                };
                let session: SessionId = session.parse().unwrap();
                let fence = self.fence(&session, words);
                let fence = Some(fence);
                let work = commands::AddSessionWork { session, fence, items, archived, blobs };
                Ok(work.into())
            }
            "signal" => {
                let signal = Box::new(words::signal(words)?);
                let undeclared = words.has("undeclared").then(|| Box::new(words::undeclared()));
                match words.get("by").filter(|by| by.contains('.')) {
                    None => {
                        let coordination = id()?;
                        Ok(commands::SendSignal { coordination, signal, undeclared }.into())
                    }
                    Some(session) => {
                        let session: SessionId = session.parse().unwrap();
                        let fence = Some(self.fence(&session, words));
                        Ok(commands::SendSessionSignal { session, fence, signal }.into())
                    }
                }
            }
            "set" => {
                let writes = words::writes(items)?;
                match words.get("by").filter(|by| by.contains('.')) {
                    None => Ok(commands::SetKeys { coordination: id()?, writes }.into()),
                    Some(session) => {
                        let session: SessionId = session.parse().unwrap();
                        let fence = Some(self.fence(&session, words));
                        Ok(match id()?.is_shared() {
                            true => commands::SetSharedKeys { session, fence, writes }.into(),
                            false => commands::SetSessionKeys { session, fence, writes }.into(),
                        })
                    }
                }
            }
            "ask" => {
                let question = words::question(words)?;
                match words.get("by").filter(|by| by.contains('.')) {
                    None => Ok(commands::AskQuestion { coordination: id()?, question }.into()),
                    Some(session) => {
                        let session: SessionId = session.parse().unwrap();
                        let fence = Some(self.fence(&session, words));
                        Ok(commands::AskSessionQuestion { session, fence, question }.into())
                    }
                }
            }
            "approve" | "deny" => {
                let question = words.at(2).parse().unwrap();
                let answer = if words.at(0) == "deny" { Answer::No } else { Answer::Yes };
                let reason = words.get("reason").map(|_| reason);
                match words.get("by").filter(|by| by.contains('.')) {
                    None => {
                        let coordination = id()?;
                        let answer =
                            commands::AnswerQuestion { coordination, question, answer, reason };
                        Ok(answer.into())
                    }
                    Some(session) => {
                        let session: SessionId = session.parse().unwrap();
                        let fence = Some(self.fence(&session, words));
                        Ok(commands::AnswerSessionQuestion { session, fence, question }.into())
                    }
                }
            }
            "end" => {
                let session: SessionId = words.at(1).parse().unwrap();
                let fence = self.fence(&session, words);
                Ok(commands::EndSession::new(session, fence, self.end(words)).into())
            }
            "cleared" => {
                Ok(Command::Cleared(commands::Cleared { session: words.at(1).parse().unwrap() }))
            }
            "expand" => {
                let work: WorkId = words.at(2).parse().unwrap();
                let config = match words.get("error") {
                    Some(error) => Err(error.to_owned()),
                    None => {
                        let (line, items) = &self.plans[words.get("plan").unwrap_or("inner")];
                        Ok(Box::new(words::config(&Words::parse(line), items)?))
                    }
                };
                Ok(Command::Expanded(commands::Expanded { coordination: id()?, work, config }))
            }
            "close" => stop(StopKind::Close),
            "drain" => stop(StopKind::Drain),
            "cancel" => stop(StopKind::Cancel),
            "pause" => Ok(Command::Pause(commands::Pause { coordination: id()?, reason })),
            "continue" | "raise" => {
                let coordination = id()?;
                let raise = words::raise(words);
                Ok(match words.at(0) {
                    "raise" => Command::RaiseBudget(commands::RaiseBudget { coordination, raise }),
                    _ => Command::Continue(commands::Continue { coordination, raise }),
                })
            }
            "skip" => Ok(Command::Skip(commands::Skip {
                coordination: id()?,
                work: words.at(2).to_owned(),
                because: match words.get("because") {
                    Some("not-claimable") => SkipReason::NotClaimable,
                    Some("rule") => SkipReason::Rule,
                    _ => SkipReason::Requested,
                },
            })),
            other => panic!("{other} is no command"),
        }
    }

    fn fence(&self, session: &SessionId, words: &Words) -> Fence {
        let given = words.number("fence").map(Version);
        given.or_else(|| self.fences.get(session).copied()).unwrap_or_default()
    }

    fn end(&self, words: &Words) -> SessionEnd {
        let outcome = match words.at(2) {
            "success" => SessionOutcome::Success,
            "failure" => SessionOutcome::Failure,
            "timeout" => SessionOutcome::Timeout,
            "cancelled" => SessionOutcome::Cancelled,
            "lost" => SessionOutcome::Lost,
            "spawn_failed" => SessionOutcome::SpawnFailed,
            "deferred" => {
                let passed = words.duration("until").unwrap_or_default();
                let wall = || {
                    Deadline::Wall(WallTime(
                        FIRST_WALL + words.duration("wall").unwrap_or_default(),
                    ))
                };
                let until = if words.get("wall").is_some() {
                    wall()
                } else {
                    Deadline::Ledger(LedgerTime(passed))
                };
                SessionOutcome::Deferred { until }
            }
            other => panic!("{other} is no outcome"),
        };
        let mut end = SessionEnd::new(outcome);
        end.text = words.get("text").map(str::to_owned);
        end.route = words::route(words).map(Box::new);
        if let Some(left) = words.get("leaves") {
            let leftovers = vec![left.to_owned()];
            end = end.with_tree(TreeReport {
                containment: "warden".to_owned(),
                leftovers,
                ..TreeReport::default()
            });
        }
        if ["tokens", "cost", "cache"].iter().any(|meter| words.get(meter).is_some()) {
            let figure = |meter| match words.get(meter) {
                None => (0, Charge::AsReported),
                Some("untold") => (0, Charge::ByTime),
                Some("beyond") => (0, Charge::AtLeastGrant),
                Some(_) => (words.number(meter).unwrap_or(0), Charge::AsReported),
            };
            let ((tokens, tokens_charge), (cost, cost_charge)) = (figure("tokens"), figure("cost"));
            let cache_tokens = words.number("cache").unwrap_or(0);
            let report = Report {
                tokens,
                tokens_charge,
                cost,
                cost_charge,
                cache_tokens,
                ..Report::default()
            };
            end = end.with_report(report);
        }
        end
    }

    /// The keys that begin with a prefix.
    fn keys(&self, words: &Words) -> Vec<String> {
        let run = self.audited.world.coordination(&words.at(1).parse().unwrap()).unwrap();
        let prefix = words.get("prefix").unwrap_or_default();
        let keys = run.keys(prefix, words.get("after"));
        let lines = keys.map(|(name, key)| {
            let value = match &key.value {
                KeyValue::Here(value) => value.as_str().to_owned(),
                KeyValue::Blob(_) => "(a blob)".to_owned(),
                other => panic!("{other:?} has no words"),
            };
            format!("{name} = {value}, set at {}", key.version)
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() { vec!["none".to_owned()] } else { lines }
    }

    /// The questions that are open or whose answers are remembered.
    fn questions(&self, words: &Words) -> Vec<String> {
        let run = self.audited.world.coordination(&words.at(1).parse().unwrap()).unwrap();
        let lines = run.questions().map(|(id, question)| {
            let text = &question.text;
            let until = question.expires.map(|at| format!(", until {}", render::since(at)));
            let answer = match &question.answer {
                None => format!("open{}", until.unwrap_or_default()),
                Some(given) => format!("{} by {} at {}", given.answer, given.by, given.version),
            };
            format!("{id} {text:?}, asked at {}: {answer}", question.version)
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() { vec!["none".to_owned()] } else { lines }
    }

    /// Where the last signals of a type are.
    fn latest(&self, words: &Words) -> String {
        let about = match (words.get("about"), words.get("from")) {
            (Some(agent), _) => About::Agent(agent.parse().unwrap()),
            (None, Some(agent)) => About::From(agent.parse().unwrap()),
            (None, None) => About::Any,
        };
        let run = self.audited.world.coordination(&words.at(1).parse().unwrap()).unwrap();
        match run.latest_signal(&words.at(2).parse().unwrap(), &about) {
            None => "none".to_owned(),
            Some(Latest { version, succeeded: None }) => format!("{version}, none well"),
            Some(Latest { version, succeeded: Some(well) }) => format!("{version}, {well} well"),
        }
    }

    /// What stands for every byte of every event that was appended.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.commits)
    }

    fn why(&self, coordination: &str, work: &str) -> Vec<String> {
        match self.audited.world.why(&coordination.parse().unwrap(), work, &now(self.passed)) {
            Ok(reasons) if reasons.is_empty() => vec!["nothing keeps it".to_owned()],
            Ok(reasons) => reasons.iter().map(|reason| format!("- {reason}")).collect(),
            Err(refusal) => vec![format!("refused: {refusal}")],
        }
    }

    fn turns(&mut self, most: usize) -> Vec<String> {
        let turns = self.audited.turns(&now(self.passed), most);
        self.show(&turns)
    }

    fn show(&mut self, turns: &[Turn]) -> Vec<String> {
        let mut out = Vec::new();
        for (number, turn) in turns.iter().enumerate() {
            if number > 0 {
                out.push("next turn".to_owned());
            }
            if !turn.append.events.is_empty() {
                self.commits.extend(turn.append.commit.hash.as_bytes());
            }
            let same = |a: &Recorded, b: &Recorded| {
                a.kind == "coordination.work_added" && (&a.stream, &a.kind) == (&b.stream, &b.kind)
            };
            for run in turn.append.events.chunk_by(same) {
                out.push(if run.len() == 1 {
                    render::event(&run[0])
                } else {
                    render::additions(run)
                });
            }
            for action in &turn.actions {
                if let Action::Spawn(spawn) = action {
                    self.fences.insert(spawn.session.clone(), spawn.fence);
                }
                out.push(render::action(action));
            }
        }
        out
    }
}

/// So much time after the beginning. The random bytes are the same at the same time.
fn now(passed: u64) -> Now {
    let mut random = [0; 32];
    random[..8].copy_from_slice(&passed.to_be_bytes());
    Now { at: LedgerTime(passed), wall: WallTime(FIRST_WALL + passed), random }
}
