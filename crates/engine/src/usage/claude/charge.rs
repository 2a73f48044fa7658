//! What a run is charged, from the figures that it reported.

use antiphon_core::coordination::{Charge, Report};

use super::heard::{Ended, Heard, Since};
use crate::usage::AgentRun;

impl Heard {
    /// Figures of the last result; without one, what the messages told until then.
    pub(super) fn charge(&self, run: &AgentRun<'_>, notes: &mut Vec<String>) -> Option<Report> {
        let of_steps = Report { cost_charge: Charge::ByTime, estimated: true, ..self.steps };
        let has_steps = self.steps.tokens > 0 || self.steps.cache_tokens > 0;
        let report = match &self.last {
            None => has_steps.then_some(of_steps)?,
            Some(last) => {
                let report = last.charge(self.since, run, notes).unwrap_or(of_steps);
                match self.is_last_uncertain {
                    false if last.has_no_usage() && !has_steps => return None,
                    false => report,
                    true => Report {
                        tokens: report.tokens.max(self.steps.tokens),
                        cache_tokens: report.cache_tokens.max(self.steps.cache_tokens),
                        estimated: true,
                        ..report
                    },
                }
            }
        };
        Some(countable(report))
    }
}

/// What is more than can be counted is at least what was granted.
fn countable(report: Report) -> Report {
    let beyond = |figure: u64, charge| match figure {
        u64::MAX => (0, Charge::AtLeastGrant),
        figure => (figure, charge),
    };
    let (tokens, tokens_charge) = beyond(report.tokens, report.tokens_charge);
    let (cost, cost_charge) = beyond(report.cost, report.cost_charge);
    Report { tokens, tokens_charge, cost, cost_charge, ..report }
}

impl Ended {
    fn has_no_usage(&self) -> bool {
        self.models.is_none() && self.main.is_none() && self.cost.is_none()
    }

    /// Adds up what was used: by model and with sub-agents where that is reported, else by the main
    /// agent, marked as an estimate.
    fn charge(&self, since: Since, run: &AgentRun<'_>, notes: &mut Vec<String>) -> Option<Report> {
        // Cost is cumulative, so the last result holds all of it.
        let total = self.models.map(|models| Report { cost: self.cost.unwrap_or(0), ..models });
        let cost_charge = match self.cost {
            Some(_) => Charge::AsReported,
            None => Charge::AtLeastGrant,
        };
        let known = total.unwrap_or(Report { cost: self.cost.unwrap_or(0), ..Report::default() });
        let earlier = self.session_id.as_deref().and_then(|id| run.charged?.replace(id, known));
        let is_resumed = run.resumed || earlier.is_some();
        // Figures that are lower than before have begun anew.
        let goes_on =
            |earlier: &Report| known.tokens >= earlier.tokens && known.cost >= earlier.cost;
        let cost_since = known.cost - earlier.filter(goes_on).map_or(0, |earlier| earlier.cost);
        let report = match (total, self.main) {
            // Results that were left out would be missing from a sum.
            _ if !since.is_missing && (run.tail.is_none() || total.is_none()) => {
                let own = since.sum;
                let own = match (is_resumed, since.costs_are_missing) {
                    (false, _) => Report { cost: known.cost, ..own },
                    (true, false) => own,
                    (true, true) if earlier.is_some() => Report { cost: cost_since, ..own },
                    (true, true) => {
                        Report { cost: part(known, own.tokens), estimated: true, ..own }
                    }
                };
                Report { estimated: own.estimated || run.tail.is_some(), ..own }
            }
            (Some(total), main) if is_resumed => match (earlier, main) {
                (Some(earlier), _) if goes_on(&earlier) => Report {
                    tokens: total.tokens - earlier.tokens,
                    cache_tokens: total.cache_tokens.saturating_sub(earlier.cache_tokens),
                    cost: cost_since,
                    ..total
                },
                (Some(_), _) => total,
                (None, Some(main)) => {
                    notes.push(
                        "it resumed a run whose usage is unknown, so usage by sub-agents is \
                         not counted"
                            .to_owned(),
                    );
                    Report { cost: part(total, main.tokens), ..main }
                }
                (None, None) => {
                    notes.push(
                        "it resumed a run whose usage is unknown and may be counted again"
                            .to_owned(),
                    );
                    Report { estimated: true, ..total }
                }
            },
            (Some(total), _) => total,
            (None, Some(main)) => {
                notes.push(
                    "usage by model is missing, so usage by sub-agents is not counted".to_owned(),
                );
                Report { cost: cost_since, ..main }
            }
            (None, None) if self.cost.is_none() => {
                notes.push("its result has no usage".to_owned());
                return None;
            }
            (None, None) => {
                notes.push("its result has a cost but no tokens".to_owned());
                Report {
                    cost: cost_since,
                    tokens_charge: Charge::AtLeastGrant,
                    estimated: true,
                    ..known
                }
            }
        };
        Some(Report { cost_charge, ..report })
    }
}

/// The part of a cost that so many of its tokens have, rounded up.
fn part(total: Report, tokens: u64) -> u64 {
    let share = u128::from(total.cost) * u128::from(tokens.min(total.tokens));
    u64::try_from(share.div_ceil(u128::from(total.tokens.max(1)))).unwrap_or(total.cost)
}
