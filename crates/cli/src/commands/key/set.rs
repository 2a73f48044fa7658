//! `antiphon key set`: gives keys values.

use std::collections::BTreeMap;
use std::process::ExitCode;

use antiphon_server::KeysRequest;
use serde_json::value::RawValue;

use super::change::{change, named};
use crate::command_error::{CommandError, Kind};
use crate::given::Given;
use crate::named::SpokenRun;
use crate::options::Options;

/// Set keys, and return once that is durable: all that are named, or none
///
/// A value is JSON, or else a text; `@FILE` stands for what is in a file, `-` for what is on standard
/// input. Several keys are set together as NAME=VALUE, and have one version. With --if-version or
/// --if-absent, a key that is not as expected is left as it is, and this exits with 14. A session that is
/// over changes nothing, and this exits with 13. Without a running engine the change is recorded all the
/// same.
///
/// Examples:
///   antiphon key set state/phase tests
///   antiphon key set state/plan @plan.json --if-version 7
///   antiphon key set state/phase=build state/tries=3
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A key and its value, or any number of them as NAME=VALUE
    #[arg(value_name = "NAME VALUE", required = true, allow_negative_numbers = true)]
    keys: Vec<String>,
    /// Only if the key was last set at this version
    #[arg(long, value_name = "N", conflicts_with = "if_absent")]
    if_version: Option<u64>,
    /// Only if the key is not there
    #[arg(long)]
    if_absent: bool,
    #[command(flatten)]
    run: SpokenRun,
}

impl Args {
    pub(crate) fn run(self, options: &Options) -> Result<ExitCode, CommandError> {
        let set = self.values()?;
        let expected = match (self.if_version, self.if_absent) {
            (None, false) => BTreeMap::new(),
            (version, _) => match set.keys().next().filter(|_| set.len() == 1) {
                Some(key) => [(key.clone(), version)].into(),
                None => {
                    let what = "--if-version and --if-absent are about one key";
                    return Err(CommandError::new(Kind::Usage, what)
                        .with_hint("set that key alone, with `antiphon key set NAME VALUE`"));
                }
            },
        };
        let what = format!("{} set", named(set.keys()));
        let request = KeysRequest { set, delete: Vec::new(), expected };
        change(options, &self.run, &request, &what)
    }

    fn values(&self) -> Result<BTreeMap<String, Box<RawValue>>, CommandError> {
        let pairs: Vec<(&str, &str)> = match self.keys.as_slice() {
            [name, value] if !name.contains('=') => vec![(name, value)],
            pairs => {
                let pair = |pair| {
                    str::split_once(pair, '=').ok_or_else(|| {
                        let what = format!("{pair} has no value");
                        CommandError::new(Kind::Usage, what)
                            .with_hint("give a key and its value, or several keys as NAME=VALUE")
                    })
                };
                pairs.iter().map(|text| pair(text)).collect::<Result<_, _>>()?
            }
        };
        let mut set = BTreeMap::new();
        for (name, value) in pairs {
            let value = Given::read(value, &format!("the value of {name}"))?.json_or_text()?;
            if set.insert(name.to_owned(), value).is_some() {
                return Err(CommandError::new(Kind::Usage, format!("{name} is there twice")));
            }
        }
        Ok(set)
    }
}
