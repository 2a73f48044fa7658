//! What was decided to follow an attempt.

use antiphon::event::Routed;
use antiphon::id::WorkId;
use antiphon::report::in_one_line;

use super::sentence::{Sentence, said};
use crate::colour::Colour;

pub(super) fn routed(routed: &Routed) -> Sentence {
    let mut details = format!(", {}", routed.decision.as_str());
    let to: Vec<&str> = routed.to.iter().map(WorkId::as_str).collect();
    if !to.is_empty() {
        details.push_str(&format!(" to {}", to.join(", ")));
    }
    if let Some(rule) = &routed.rule {
        details.push_str(&format!(" by rule '{rule}'"));
    }
    if routed.votes.len() > 1 {
        details.push_str(&format!(", of {} votes", routed.votes.len()));
    }
    details.push_str(&said(&in_one_line(&routed.reasoning)));
    let subject = format!(" {} (session {})", routed.work, routed.session);
    Sentence::new("decided", Colour::Plain, subject).with_details(details)
}
