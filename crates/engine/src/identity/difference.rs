//! What differs between a run as it was started and what is submitted under its id.

use std::collections::BTreeMap;
use std::fmt;

use antiphon_core::coordination::CoordinationConfig;
use antiphon_core::digest::Digest;
use antiphon_core::envelope::Blob;

use super::described::{self, Keys};
use super::recorded::RecordedStart;
use crate::ledger::{ReadError, Store};
use crate::plan::{Environment, Origin};

/// Differences that are told one by one; the rest is counted.
const TOLD: usize = 3;

/// One key that does not say what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The item, with those that it is nested in before it; none if it is the plan's own key.
    pub item: Option<String>,
    /// The key as plans write it; none if the whole item is new or gone.
    pub key: Option<String>,
    /// What it was when the run was started, shortened; none if it was not there.
    pub then: Option<String>,
    /// What it is now, shortened; none if it is not there.
    pub now: Option<String>,
}

/// What differs, the most telling first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Differences(Vec<Difference>);

impl Differences {
    /// Each of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Difference] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variables that a plan read where it was started and that are not the same here.
    #[must_use]
    pub fn of_variables(origin: &Origin, here: &Environment) -> Self {
        let now = origin.variables.keys();
        let now = now.filter_map(|name| Some((name.clone(), here.get(name)?.to_owned())));
        Self(variables(&origin.variables, &now.collect()))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.item, &self.key) {
            (Some(item), None) if self.now.is_none() => return write!(f, "item {item} is gone"),
            (Some(item), None) => return write!(f, "item {item} is new"),
            (Some(item), Some(key)) => write!(f, "`{key}` of item {item}")?,
            (None, Some(key)) => write!(f, "`{key}` of the plan")?,
            (None, None) => write!(f, "the plan")?,
        }
        match (&self.then, &self.now) {
            (Some(then), Some(now)) => write!(f, " was {then} and is {now}"),
            (Some(then), None) => write!(f, " was {then} and is not set"),
            (None, Some(now)) => write!(f, " was not set and is {now}"),
            (None, None) => write!(f, " is not the same"),
        }
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, difference) in self.0.iter().take(TOLD).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            difference.fmt(f)?;
        }
        match self.0.len().saturating_sub(TOLD) {
            0 => Ok(()),
            1 => f.write_str("; and 1 more difference"),
            more => write!(f, "; and {more} more differences"),
        }
    }
}

/// What differs between what was recorded and what is submitted: variables that the plan reads, then
/// keys of the plan, then those of its items.
pub(super) fn between(
    store: &dyn Store,
    then: &RecordedStart,
    config: &CoordinationConfig,
    blobs: &[Blob],
) -> Result<Differences, ReadError> {
    let given: BTreeMap<Digest, &[u8]> =
        blobs.iter().map(|blob| (blob.digest, &*blob.bytes)).collect();
    let mut unread = None;
    let mut recorded = |digest: &Digest| match store.blob(digest) {
        Ok(bytes) => bytes,
        Err(error) => {
            unread = Some(error);
            None
        }
    };
    let was = described::items(&then.items, &mut recorded);
    let is = described::items(config.work(), &mut |digest| {
        given.get(digest).map(|bytes| bytes.to_vec()).or_else(|| recorded(digest))
    });
    if let Some(error) = unread {
        return Err(error);
    }
    let origin = config.origin().and_then(|digest| Origin::from_bytes(given.get(&digest)?).ok());
    let variables = match (&then.origin, &origin) {
        (Some(then), Some(now)) => variables(&then.variables, &now.variables),
        _ => Vec::new(),
    };
    let mut all = variables.clone();
    // A plan may be compared with a retry of it, and says no run that is retried.
    let settings = match config.forerunner() {
        Some(_) => described::settings_of_start(&then.started),
        None => described::settings_of_plan(&then.started),
    };
    all.extend(differing(None, &settings, &described::settings(config)));
    // The values of those variables are in the descriptions too: they are told once.
    let is_told = |one: &Difference| {
        let is_env = one.key.as_ref().is_some_and(|key| key.starts_with("env."));
        is_env && variables.iter().any(|told| (&told.then, &told.now) == (&one.then, &one.now))
    };
    // Earlier versions wrote what sessions inherit into each description.
    let is_inherited = |one: &Difference| {
        let name = one.key.as_ref().and_then(|key| key.strip_prefix("env."));
        let is_inherited = name.is_some_and(Environment::is_inherited);
        then.started.origin.is_none() && is_inherited && one.now.is_none()
    };
    for (item, keys) in &was {
        match is.get(item) {
            Some(now) => {
                let found = differing(Some(item), keys, now);
                all.extend(found.into_iter().filter(|one| !is_told(one) && !is_inherited(one)));
            }
            None => all.push(whole(item, Some(String::new()), None)),
        }
    }
    // Of a start that was cut off, not all items were recorded.
    if then.items.len() == then.started.items as usize {
        let new = is.keys().filter(|item| !was.contains_key(*item));
        all.extend(new.map(|item| whole(item, None, Some(String::new()))));
    }
    Ok(Differences(all))
}

fn whole(item: &str, then: Option<String>, now: Option<String>) -> Difference {
    Difference { item: Some(item.to_owned()), key: None, then, now }
}

/// Variables that the plan reads where it is submitted.
fn variables(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<Difference> {
    let shown = |variables: &BTreeMap<String, String>| {
        let shown = variables.iter().map(|(name, value)| {
            (format!("from: {name}"), described::shown(&serde_json::Value::from(value.as_str())))
        });
        shown.collect::<Keys>()
    };
    differing(None, &shown(then), &shown(now))
}

fn differing(item: Option<&str>, then: &Keys, now: &Keys) -> Vec<Difference> {
    let mut keys: Vec<&String> = then.keys().chain(now.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let differs = |key: &&String| then.get(*key) != now.get(*key);
    let differences = keys.into_iter().filter(differs).map(|key| Difference {
        item: item.map(ToOwned::to_owned),
        key: Some(key.clone()),
        then: then.get(key).map(described::Shown::to_string),
        now: now.get(key).map(described::Shown::to_string),
    });
    differences.collect()
}
