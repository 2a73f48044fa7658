//! Questions for a person, and their answers.

use antiphon::coordination::{Answer, Coordination};
use antiphon::event::{Answered, Asked};

use super::sentence::Sentence;
use crate::colour::Colour;

/// How many questions of a run wait for a person.
pub(crate) fn open_questions(run: &Coordination) -> usize {
    match run.status().is_terminal() {
        true => 0,
        false => run.questions().filter(|(_, question)| question.answer.is_none()).count(),
    }
}

/// That so many questions wait for a person.
pub(crate) fn questions_open(count: usize) -> String {
    match count {
        1 => "1 question is open".to_owned(),
        count => format!("{count} questions are open"),
    }
}

pub(super) fn asked(asked: &Asked) -> Sentence {
    let text = format!(" {} by {}", asked.id, asked.by);
    Sentence::new("question", Colour::Caution, text).with_details(format!(": {}", asked.question))
}

pub(super) fn answered(answered: &Answered) -> Sentence {
    let colour = match answered.answer {
        Answer::Yes => Colour::Plain,
        Answer::No => Colour::Caution,
    };
    let text = format!(" {} to {} by {}", answered.answer, answered.id, answered.by);
    let reason = answered.reason.as_ref().map(|reason| format!(": {reason}"));
    Sentence::new("answer", colour, text).with_details(reason.unwrap_or_default())
}
