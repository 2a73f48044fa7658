//! What was decided, and sums over it.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon_core::routing::{RoutingContext, RoutingDecision, RoutingResult, RoutingStrategy};
use antiphon_core::time::WallTime;
use serde::{Serialize, Serializer};

/// One decision: by which id, when, of what, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoutingHistoryRecord {
    /// Names this decision.
    pub routing_id: String,
    /// When it was made.
    pub at: WallTime,
    /// What the routers knew besides the state.
    pub context: RoutingContext,
    /// What they said, and what was chosen.
    #[serde(flatten)]
    pub result: RoutingResult,
    /// How long it took.
    #[serde(rename = "routing_time_ms", serialize_with = "milliseconds")]
    pub routing_time: Duration,
}

/// Sums over the decisions that are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoutingStats {
    /// How many there are.
    pub total_routings: usize,
    /// How long they took, if there are any.
    pub times: Option<RoutingTimes>,
    /// How often each was decided.
    pub decisions: BTreeMap<RoutingDecision, usize>,
    /// How often the vote of each kind of router was chosen.
    pub strategies: BTreeMap<RoutingStrategy, usize>,
}

/// How long decisions took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct RoutingTimes {
    pub average: Duration,
    pub min: Duration,
    pub max: Duration,
}

impl RoutingStats {
    pub(super) fn of<'h>(history: impl Iterator<Item = &'h RoutingHistoryRecord>) -> Self {
        let mut stats = Self::default();
        let mut total = Duration::ZERO;
        for RoutingHistoryRecord { result, routing_time, .. } in history {
            stats.total_routings += 1;
            *stats.decisions.entry(result.decision()).or_default() += 1;
            *stats.strategies.entry(result.strategy()).or_default() += 1;
            total += *routing_time;
            let times = stats.times.get_or_insert(RoutingTimes {
                average: *routing_time,
                min: *routing_time,
                max: *routing_time,
            });
            times.min = times.min.min(*routing_time);
            times.max = times.max.max(*routing_time);
        }
        if let Some(times) = &mut stats.times {
            let number = u32::try_from(stats.total_routings).unwrap_or(u32::MAX);
            times.average = total / number;
        }
        stats
    }
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1e3)
}
