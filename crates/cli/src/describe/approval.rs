//! Questions for a person, and their answers.

use antiphon::coordination::Answer;
use antiphon::event::{Answered, Asked};

use super::sentence::Sentence;
use crate::colour::Colour;

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
