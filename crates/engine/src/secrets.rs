//! Values of secrets: in memory only, while their coordination runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use antiphon_core::id::CoordinationId;
use antiphon_core::json_text::JsonText;
use serde_json::Value;

use crate::locked::locked;
use crate::process::{Secret, redacted};

/// Values by name.
pub(crate) type Values = Arc<BTreeMap<String, String>>;

/// A text with names of secrets in the place of their values; `None` if there are none in it.
pub(crate) fn text_without_values(text: &str, values: &Values) -> Option<String> {
    let secrets: Vec<Secret> = values
        .iter()
        .map(|(name, value)| Secret { name: name.clone(), value: value.clone() })
        .filter(|secret| !secret.is_too_short())
        .collect();
    if secrets.is_empty() {
        return None;
    }
    let clean = redacted(&secrets, text.as_bytes());
    (clean != text.as_bytes()).then(|| String::from_utf8_lossy(&clean).into_owned())
}

/// A text of JSON without them likewise.
pub(crate) fn without_values(json: &str, values: &Values) -> Option<JsonText> {
    let clean = text_without_values(json, values)?;
    // A value that was no text, or more than one, leaves what is not JSON.
    let clean = JsonText::new(clean.as_str())
        .or_else(|_| JsonText::new(Value::from(clean.as_str()).to_string()));
    Some(clean.expect("BUG: a JSON text is JSON"))
}

/// The values that came with submissions.
#[derive(Default)]
pub(crate) struct Secrets {
    held: Mutex<HashMap<CoordinationId, Held>>,
}

/// What is held for a coordination.
#[derive(Default)]
struct Held {
    values: Values,
    /// Whether these are all that it needs.
    complete: bool,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Holds the values that came with a submission.
    pub(crate) fn hold(&self, coordination: CoordinationId, values: BTreeMap<String, String>) {
        locked(&self.held).insert(coordination, Held { values: Arc::new(values), complete: true });
    }

    /// Holds more values for a coordination. Returns whether all that it needs are there now.
    pub(crate) fn add(
        &self,
        coordination: CoordinationId,
        values: BTreeMap<String, String>,
        needed: &[String],
    ) -> bool {
        let mut all = locked(&self.held);
        let held = all.entry(coordination).or_default();
        Arc::make_mut(&mut held.values).extend(values);
        held.complete = needed.iter().all(|name| held.values.contains_key(name));
        held.complete
    }

    /// The coordinations that all they need are held for.
    pub(crate) fn holders(&self) -> Vec<CoordinationId> {
        let held = locked(&self.held);
        held.iter().filter(|(_, held)| held.complete).map(|(id, _)| id.clone()).collect()
    }

    /// Lets them go.
    pub(crate) fn let_go(&self, coordination: &CoordinationId) {
        locked(&self.held).remove(coordination);
    }

    /// Those of a coordination, or of the one that it is nested in: its id is that of a session,
    /// which begins with its coordination's.
    pub(crate) fn of(&self, coordination: &CoordinationId) -> Option<Values> {
        let held = locked(&self.held);
        let mut id = coordination.as_str();
        loop {
            if let Some(held) = held.get(id) {
                return Some(Arc::clone(&held.values));
            }
            id = id.rsplit_once('.')?.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_coordinations_have_the_secrets_of_the_one_above()
    -> Result<(), antiphon_core::id::IdError> {
        let secrets = Secrets::default();
        secrets.hold("run".parse()?, [("KEY".to_owned(), "value-of-key".to_owned())].into());
        let of =
            |id: &str| Ok(secrets.of(&id.parse()?).and_then(|values| values.get("KEY").cloned()));
        let expected = Some("value-of-key".to_owned());
        assert_eq!(
            [of("run")?, of("run.1")?, of("run.1.22")?, of("runner")?],
            [expected.clone(), expected.clone(), expected, None]
        );
        secrets.let_go(&"run".parse()?);
        assert_eq!(of("run.1")?, None);
        Ok(())
    }
}
