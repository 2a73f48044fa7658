//! What an engine measures of itself while it runs: how long signals, contexts and decisions take.
//!
//! Nothing of it is recorded, and it takes the same room however much is measured. It is read in the
//! process of the engine, by [`Engine::stats`](crate::Engine::stats) or
//! [`SessionContext::stats`](crate::SessionContext::stats); the local API and the command line do not
//! tell it.
//!
//! | name | a value for each |
//! |---|---|
//! | `signal_propagation_time_ms` | signal that is sent: from the call until it is durable |
//! | `signals_sent` | the same: 1 |
//! | `signals_received` | signal that is given to somebody who follows signals: 1 |
//! | `context_size_bytes` | context that is distributed: its bytes as JSON, with what was filled in |
//! | `context_distribution_time_ms` | distribution, until it is durable |
//! | `context_distribution_per_agent_ms` | context of it: an equal share of that time |
//! | `routing_decision_time_ms` | decision of routers that are [measured], and of the rules of an item |
//! | `routing_decisions_count` | the same: 1 |
//! | `dependency_resolution_time_ms` | caller's wait that was met: from the call until it was |
//!
//! What was refused, or not met, has no value, and neither has what sessions begin and end with as
//! signals: nobody sends that. How long items wait for their needs is not here but on the record, whose
//! events have their times.
//!
//! [measured]: crate::routing::SmartRoutingOrchestrator::measured_by
//!
//! ```
//! use antiphon::Engine;
//! use antiphon::routing::{RoutingContext, SmartRoutingOrchestrator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let engine = Engine::open(dir.path().join("state")).await?;
//! let mut routers = SmartRoutingOrchestrator::new().measured_by(engine.stats());
//! routers.route(&serde_json::json!({}), RoutingContext::new("build")?)?;
//!
//! let times = engine.stats().get("routing_decision_time_ms").expect("it is measured");
//! assert_eq!(times.count, 1);
//! assert!(times.p50 <= times.p95);
//! # engine.close().await?;
//! # Ok(())
//! # }
//! ```

mod histogram;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use histogram::Histogram;

/// What is measured. The names are those of the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// From a send until it is durable.
    SignalPropagation,
    SignalsSent,
    /// Signals that were given to those who follow them.
    SignalsReceived,
    ContextSize,
    ContextDistribution,
    ContextDistributionPerAgent,
    RoutingDecisionTime,
    RoutingDecisions,
    /// From when a caller waits until what it waits for is there.
    DependencyResolution,
}

/// All of them, in the order of their variants.
const METRICS: [(Metric, &str); 9] = [
    (Metric::SignalPropagation, "signal_propagation_time_ms"),
    (Metric::SignalsSent, "signals_sent"),
    (Metric::SignalsReceived, "signals_received"),
    (Metric::ContextSize, "context_size_bytes"),
    (Metric::ContextDistribution, "context_distribution_time_ms"),
    (Metric::ContextDistributionPerAgent, "context_distribution_per_agent_ms"),
    (Metric::RoutingDecisionTime, "routing_decision_time_ms"),
    (Metric::RoutingDecisions, "routing_decisions_count"),
    (Metric::DependencyResolution, "dependency_resolution_time_ms"),
];

impl Metric {
    /// What its whole values are divided by: times are kept in nanoseconds and told in milliseconds.
    fn scale(self) -> f64 {
        match self {
            Self::SignalPropagation
            | Self::ContextDistribution
            | Self::ContextDistributionPerAgent
            | Self::RoutingDecisionTime
            | Self::DependencyResolution => 1e6,
            Self::SignalsSent
            | Self::SignalsReceived
            | Self::ContextSize
            | Self::RoutingDecisions => 1.0,
        }
    }
}

/// The measurements of an engine. It is cheap to clone; all clones measure together.
#[derive(Debug, Clone, Default)]
pub struct Stats(Arc<[Measurements; METRICS.len()]>);

/// The values of one metric, as far as they are kept.
#[derive(Debug, Default)]
struct Measurements {
    last: AtomicU64,
    values: Histogram,
}

/// What was measured under a name. Times are milliseconds, sizes bytes; what is counted has 1 for each
/// time that it happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricStats {
    /// How many values there were.
    pub count: u64,
    /// The last one, 0 if there were none.
    pub last: f64,
    /// What half of them do not exceed, within an eighth.
    pub p50: f64,
    /// What 95 of 100 of them do not exceed, within an eighth.
    pub p95: f64,
}

impl Stats {
    /// What was measured under a name; `None` for a name under which nothing is.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<MetricStats> {
        let (metric, _) = METRICS.iter().find(|(_, known)| *known == name)?;
        Some(self.of(*metric))
    }

    /// All that is measured, by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, MetricStats> {
        METRICS.iter().map(|(metric, name)| (*name, self.of(*metric))).collect()
    }

    fn of(&self, metric: Metric) -> MetricStats {
        let (measured, scale) = (&self.0[metric as usize], metric.scale());
        let told = |value: u64| value as f64 / scale;
        let (count, [p50, p95]) = measured.values.quantiles([0.5, 0.95]);
        let last = measured.last.load(Ordering::Relaxed);
        MetricStats { count, last: told(last), p50: told(p50), p95: told(p95) }
    }

    pub(crate) fn record(&self, metric: Metric, value: u64) {
        let measured = &self.0[metric as usize];
        measured.last.store(value, Ordering::Relaxed);
        measured.values.add(value);
    }

    pub(crate) fn record_time(&self, metric: Metric, took: Duration) {
        self.record(metric, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_kept_by_their_own_place() {
        for (place, (metric, _)) in METRICS.iter().enumerate() {
            assert_eq!(*metric as usize, place);
        }
    }

    #[test]
    fn times_are_told_in_milliseconds_and_what_is_counted_as_ones() {
        let stats = Stats::default();
        for ms in [1, 2, 3, 400] {
            stats.record_time(Metric::SignalPropagation, Duration::from_millis(ms));
            stats.record(Metric::SignalsSent, 1);
        }
        let times = stats.get("signal_propagation_time_ms").unwrap();
        assert_eq!((times.count, times.last), (4, 400.0));
        assert!((2.0..2.25).contains(&times.p50) && (400.0..450.0).contains(&times.p95));
        let sent = MetricStats { count: 4, last: 1.0, p50: 1.0, p95: 1.0 };
        assert_eq!(stats.get("signals_sent"), Some(sent));
        assert_eq!(stats.get("signals_lost"), None);
        let none = MetricStats { count: 0, last: 0.0, p50: 0.0, p95: 0.0 };
        assert_eq!(stats.all()["context_size_bytes"], none);
    }
}
