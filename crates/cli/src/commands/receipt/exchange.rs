//! What went on between the items of a run: its signals, counted, how its gates stood, how its questions
//! were answered, and what was decided to follow attempts.

use antiphon::coordination::{
    Approvals, CoordinationReceipt, GateScores, MAX_WORK_OUTCOMES, RoutesTaken, SignalCounts,
};

use crate::command_error::CommandError;
use crate::describe::score_text;
use crate::stdout::Stdout;
use crate::text::printable;

/// Types, gates, answers and decisions that are spelled out before the rest is counted.
const SPELLED_OUT: usize = 5;

/// Nothing, where there was nothing.
pub(super) fn print(
    receipt: &CoordinationReceipt,
    output: &mut Stdout,
) -> Result<(), CommandError> {
    if let Some(signals) = &receipt.signals {
        output.line(format!("signals       {}", printable(&sent(signals))))?;
    }
    if let Some(gates) = &receipt.gates {
        output.line(format!("gates         {}", printable(&scores(gates))))?;
    }
    if let Some(approvals) = &receipt.approvals {
        output.line(format!("approvals     {}", printable(&answers(approvals))))?;
    }
    if let Some(routes) = &receipt.routes {
        output.line(format!("decisions     {}", printable(&decisions(routes))))?;
    }
    Ok(())
}

fn sent(signals: &SignalCounts) -> String {
    let types = signals.by_type.iter().take(SPELLED_OUT);
    let types: Vec<String> = types.map(|(kind, count)| format!("{count} {kind}")).collect();
    let rest = signals.total() - signals.by_type.values().take(SPELLED_OUT).sum::<u64>();
    let rest = if rest > 0 { format!(", {rest} of other types") } else { String::new() };
    format!("{}: {}{rest}", signals.total(), types.join(", "))
}

fn decisions(taken: &RoutesTaken) -> String {
    let shown = taken.routes.iter().take(SPELLED_OUT).map(|route| {
        let to: String = route.to.iter().map(|to| format!(" to {to}")).collect();
        let rule = route.rule.as_ref().map(|rule| format!(" by rule '{rule}'"));
        let decision = route.decision.as_str();
        format!("{} {decision}{to}{}", route.work_id, rule.unwrap_or_default())
    });
    let shown: Vec<String> = shown.collect();
    let all = taken.chunks.len() * MAX_WORK_OUTCOMES + taken.routes.len();
    let rest = all - shown.len();
    let rest = if rest > 0 { format!(", {rest} others") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn scores(gates: &GateScores) -> String {
    let shown = gates.gates.iter().take(SPELLED_OUT);
    let shown = shown.map(|gate| format!("{} {}", gate.gate, score_text(gate.score)));
    let shown: Vec<String> = shown.collect();
    let rest = gates.gates.len().saturating_sub(SPELLED_OUT) as u64 + gates.others;
    let rest = if rest > 0 { format!(", {rest} others") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn answers(approvals: &Approvals) -> String {
    let shown = approvals.answers.iter().take(SPELLED_OUT);
    let shown = shown.map(|given| {
        format!("{} {} by {} at version {}", given.question, given.answer, given.by, given.version)
    });
    let shown: Vec<String> = shown.collect();
    let rest = approvals.answers.len().saturating_sub(SPELLED_OUT) as u64 + approvals.others;
    let rest = if rest > 0 { format!(", {rest} others") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use antiphon::coordination::{Answer, ApprovedQuestion, GateScore, RouteTaken};
    use antiphon::routing::RoutingDecision;
    use antiphon::{Digest, Version};

    use super::*;

    #[test]
    fn a_few_are_spelled_out_and_the_rest_is_counted() {
        let by_type = (0..7).map(|n| (format!("t{n}").parse().unwrap(), n + 1)).collect();
        let signals = SignalCounts { by_type, others: 100 };
        assert_eq!(sent(&signals), "128: 1 t0, 2 t1, 3 t2, 4 t3, 5 t4, 113 of other types");
        let gate =
            |name: &str, score| GateScore { gate: name.to_owned(), score, version: Version(3) };
        let gates = vec![gate("coverage", 810_000), gate("lint", 1_000_000), gate("odd", -1)];
        let gates = GateScores { gates, others: 0 };
        assert_eq!(scores(&gates), "coverage 0.81, lint 1, odd -0.000001");
        let given = ApprovedQuestion {
            question: "deploy".parse().unwrap(),
            text: Digest::of(b"Deploy?"),
            answer: Answer::Yes,
            by: "alice".parse().unwrap(),
            version: Version(9),
        };
        let approvals = Approvals { answers: vec![given], others: 2 };
        assert_eq!(answers(&approvals), "deploy yes by alice at version 9, 2 others");
    }

    #[test]
    fn decisions_are_told_with_their_rules() {
        let route = |session, decision, rule: Option<&str>| RouteTaken {
            session,
            work_id: "draft".parse().unwrap(),
            decision,
            to: Vec::new(),
            confidence: 1_000_000,
            rule: rule.map(|rule| rule.parse().unwrap()),
        };
        let mut taken = RoutesTaken {
            chunks: Vec::new(),
            routes: vec![
                route(1, RoutingDecision::Retry, Some("too short")),
                route(2, RoutingDecision::Continue, None),
            ],
        };
        assert_eq!(decisions(&taken), "draft retry by rule 'too short', draft continue");
        taken.routes.truncate(1);
        taken.chunks = vec![Digest::GENESIS];
        assert_eq!(decisions(&taken), "draft retry by rule 'too short', 1000 others");
    }
}
