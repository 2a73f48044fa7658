//! What was measured, as numbers and as text.

use std::time::Duration;

use serde::Serialize;

use super::conditions::BenchConditions;

/// One measurement. Times are in `unit`, `rate` is per second, `value` is a size in bytes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    unit: &'static str,
    p50: Option<f64>,
    p99: Option<f64>,
    rate: Option<f64>,
    value: Option<f64>,
}

impl Measured {
    /// Times of single things, and how many of them there were per second in each round.
    pub(crate) fn timed(
        name: impl Into<String>,
        unit: &'static str,
        times: &mut [Duration],
        rates: &mut [f64],
    ) -> Self {
        let scale = match unit {
            "ns" => 1e9,
            "us" => 1e6,
            "ms" => 1e3,
            _ => 1.0,
        };
        times.sort_unstable();
        rates.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| {
            let last = times.len().saturating_sub(1);
            times
                .get((last as f64 * part).round() as usize)
                .map(|time| rounded(time.as_secs_f64() * scale))
        };
        let rate = rates.get(rates.len() / 2).copied().map(rounded);
        Self { name: name.into(), unit, p50: at(0.5), p99: at(0.99), rate, value: None }
    }

    /// A size in bytes.
    pub(crate) fn size(name: impl Into<String>, bytes: f64) -> Self {
        Self {
            name: name.into(),
            unit: "bytes",
            p50: None,
            p99: None,
            rate: None,
            value: Some(rounded(bytes)),
        }
    }

    /// The same with a size in bytes.
    pub(crate) fn with_value(self, bytes: f64) -> Self {
        Self { value: Some(rounded(bytes)), ..self }
    }
}

/// Four significant digits are more than a measurement knows.
fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let digits = 3 - number.abs().log10().floor() as i32;
    if digits <= 0 {
        number.round()
    } else {
        (number * 10f64.powi(digits)).round() / 10f64.powi(digits)
    }
}

/// Everything that is printed.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    conditions: BenchConditions,
    results: Vec<Measured>,
}

impl BenchReport {
    pub(crate) fn new(conditions: BenchConditions, results: Vec<Measured>) -> Self {
        Self { conditions, results }
    }

    /// The conditions, then one line a measurement.
    pub(crate) fn text(&self) -> String {
        let mut text = self.conditions.text();
        text.push_str(&format!(
            "\n{:<26}{:>12}{:>12}{:>8}{:>14}{:>14}\n",
            "name", "p50", "p99", "unit", "per second", "bytes"
        ));
        let cell =
            |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        for result in &self.results {
            let Measured { name, unit, p50, p99, rate, value } = result;
            let unit = if p50.is_some() { unit } else { "" };
            let cells = [cell(*p50), cell(*p99), cell(*rate), cell(*value)];
            let [p50, p99, rate, value] = cells;
            text.push_str(&format!("{name:<26}{p50:>12}{p99:>12}{unit:>8}{rate:>14}{value:>14}\n"));
        }
        text
    }
}
