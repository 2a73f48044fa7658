//! Signals, as they are sent, asked for and heard.

use std::collections::BTreeMap;

use antiphon::id::AgentId;
use antiphon::signals::{HeardSignal, SignalFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::problem::Problem;
use super::utc::utc;

/// A signal that is sent.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SignalRequest {
    pub r#type: String,
    /// In whose name: a session speaks in its own alone, and need not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// For whom; for everybody if it names nobody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Whether it tells of a failure.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup: Option<SignalDedup>,
}

/// How a signal that is sent again is known.
#[derive(Debug, Clone, Serialize)]
pub struct SignalDedup {
    /// What tells the message.
    pub key: String,
    /// For how long it is known: 24 hours unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// How many keys of its sender are known at a time: 10,000 unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
}

/// Which signals somebody wants; all, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SignalQuery {
    /// Of any of these types, or of those that begin like `review.*`.
    pub types: Vec<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub about: Option<String>,
    /// Only those that tell of a failure, or only those that do not.
    pub failed: Option<bool>,
    /// Whose data has these members.
    pub data: BTreeMap<String, Value>,
}

/// A signal of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SignalLine {
    /// Where in the run's stream it is.
    pub version: u64,
    /// Ledger time in nanoseconds.
    pub at: u64,
    /// Wall-clock time in nanoseconds since 1970.
    pub wall: u64,
    /// The same in UTC.
    pub time: String,
    pub r#type: String,
    pub from: String,
    /// Whom it is for; everybody if it is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    pub about: String,
    /// Whether it tells of a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// What it carries, as it was sent; absent also where it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// The last signals of a run that were asked for, the newest first.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct SignalHistory {
    pub run: String,
    pub signals: Vec<SignalLine>,
}

impl From<&HeardSignal> for SignalLine {
    fn from(signal: &HeardSignal) -> Self {
        let data = signal.data.as_ref().map(|data| data.as_str().to_owned());
        Self {
            version: signal.version.0,
            at: signal.at.0,
            wall: signal.wall.0,
            time: utc(signal.wall),
            r#type: signal.kind.to_string(),
            from: signal.from.to_string(),
            to: signal.to.iter().map(ToString::to_string).collect(),
            about: signal.about.to_string(),
            failed: signal.failed,
            data: data.and_then(|data| RawValue::from_string(data).ok()),
        }
    }
}

impl SignalQuery {
    /// What an engine is asked for.
    ///
    /// # Errors
    /// [`Problem`] says what no signal can be like.
    pub fn filter(&self) -> Result<SignalFilter, Problem> {
        let Self { types, from, to, about, failed, data } = self;
        let mut filter = SignalFilter::new();
        for kind in types {
            filter = filter.of_type(kind)?;
        }
        if let Some(from) = from {
            filter = filter.from(AgentId::new(from)?);
        }
        if let Some(to) = to {
            filter = filter.to(AgentId::new(to)?);
        }
        if let Some(about) = about {
            filter = filter.about(AgentId::new(about)?);
        }
        if let Some(failed) = failed {
            filter = filter.failed(*failed);
        }
        let with_member = |filter: SignalFilter, (member, value): (&String, &Value)| {
            filter.with_data(member, value.clone())
        };
        Ok(data.iter().fold(filter, with_member))
    }

    /// As the parameters of a query, in which [`SignalQuery::take`] finds them again.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        let Self { types, from, to, about, failed, data } = self;
        let mut parameters: Vec<_> = types.iter().map(|kind| ("type", kind.clone())).collect();
        for (name, value) in [("from", from), ("to", to), ("about", about)] {
            parameters.extend(value.clone().map(|value| (name, value)));
        }
        parameters.extend(failed.map(|failed| ("failed", failed.to_string())));
        let data = data.iter().map(|(name, value)| (format!("data.{name}"), value.to_string()));
        parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(data).collect()
    }

    /// Takes in a parameter of a query. Returns whether it is one of these.
    ///
    /// # Errors
    /// What is wrong with its value.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let once = |place: &mut Option<String>| match place.replace(value.to_owned()) {
            None => Ok(true),
            Some(_) => Err(format!("`{name}` is there twice; give it once")),
        };
        match name {
            "type" => self.types.extend(value.split(',').map(|kind| kind.trim().to_owned())),
            "from" => return once(&mut self.from),
            "to" => return once(&mut self.to),
            "about" => return once(&mut self.about),
            "failed" => {
                let failed = value.parse();
                let wrong = |_| format!("`failed` is {value:?}; it must be true or false");
                self.failed = Some(failed.map_err(wrong)?);
            }
            name => {
                let Some(member) = name.strip_prefix("data.") else { return Ok(false) };
                self.data.insert(member.to_owned(), json_or_text(value));
            }
        }
        Ok(true)
    }
}

/// What is no JSON is a text.
fn json_or_text(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_for_comes_out_of_the_parameters_as_it_went_in() {
        let query = SignalQuery {
            types: vec!["review.*".to_owned(), "note".to_owned()],
            from: Some("a".to_owned()),
            failed: Some(false),
            data: [
                ("n".to_owned(), json!(1)),
                ("text".to_owned(), json!("true")),
                ("odd name".to_owned(), json!({ "a": [null] })),
            ]
            .into(),
            ..SignalQuery::default()
        };
        let mut read = SignalQuery::default();
        for (name, value) in query.parameters() {
            assert_eq!(read.take(&name, &value), Ok(true), "{name}");
        }
        assert_eq!(read, query);
        read = SignalQuery::default();
        assert_eq!(read.take("type", "a, b"), Ok(true));
        assert_eq!(read.take("data.file", "src/lib.rs"), Ok(true));
        assert_eq!((read.types.len(), &read.data["file"]), (2, &json!("src/lib.rs")));
        assert_eq!(read.take("limit", "3"), Ok(false));
        assert_eq!(
            [read.take("failed", "no"), read.take("from", "a"), read.take("from", "b")],
            [
                Err("`failed` is \"no\"; it must be true or false".to_owned()),
                Ok(true),
                Err("`from` is there twice; give it once".to_owned()),
            ]
        );
    }
}
