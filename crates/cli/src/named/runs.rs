//! Runs by their names, and those that are meant where none is named.

use std::collections::BTreeSet;

use antiphon::append::HeadRow;
use antiphon::coordination::{Stage, Verdict};
use antiphon::head::RunSummary;
use antiphon::id::{CoordinationId, StreamName};
use antiphon::ledger::{HeadFilter, HeadQuery};
use antiphon::signals::UNDECLARED;

use super::{Found, LISTED, ambiguous, listed};
use crate::command_error::{CommandError, Kind};
use crate::ledger::{COORDINATIONS, Ledger, unreadable};

/// The word for the newest run.
const LAST: &str = "last";

/// Head rows that are read at a time.
const PAGE: usize = 64;

/// Which runs a command that changes one may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qualifies {
    /// Those that have not ended.
    Unended,
    /// Of those the ones that are not paused.
    Unpaused,
    /// Of those the ones that are paused.
    Paused,
    /// Those that have ended without success and that no newer run does again.
    Unsuccessful,
}

impl Qualifies {
    fn admits(self, head: &HeadRow, summary: &RunSummary) -> bool {
        match self {
            Self::Unsuccessful => {
                head.ended
                    && head.stage().is_ok_and(|stage| stage != Stage::Ended(Verdict::Succeeded))
            }
            Self::Unended => true,
            Self::Unpaused => summary.paused.is_none(),
            Self::Paused => summary.paused.is_some(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Unended => "unfinished run",
            Self::Unpaused => "unfinished run that is not paused",
            Self::Paused => "paused run",
            Self::Unsuccessful => "run to retry",
        }
    }
}

/// The run that a word names: by its id, by what only its id begins with, or as the last one.
pub(crate) fn existing(
    ledger: &Ledger,
    word: &CoordinationId,
) -> Result<CoordinationId, CommandError> {
    match look_up(ledger, word)? {
        Found::Exact(id) | Found::Prefix(id) => Ok(id),
        Found::Several(ids) => Err(ambiguous(word.as_str(), "the ids of runs", &ids)),
        Found::Nothing => {
            // It says what may have been meant.
            ledger.head(&StreamName::Coordination(word.clone()))?;
            Ok(word.clone())
        }
    }
}

/// The run that a command shows: the newest, unless another is named.
pub(crate) fn shown(
    ledger: &Ledger,
    word: Option<&CoordinationId>,
) -> Result<CoordinationId, CommandError> {
    match word {
        Some(word) => existing(ledger, word),
        None => newest(ledger),
    }
}

/// The run that a command changes: without a name only where no other could be meant.
pub(crate) fn the_only(
    ledger: &Ledger,
    word: Option<&CoordinationId>,
    qualifies: Qualifies,
) -> Result<CoordinationId, CommandError> {
    if let Some(word) = word {
        return existing(ledger, word);
    }
    // What does a run again may be unfinished.
    let ended = (qualifies != Qualifies::Unsuccessful).then_some(false);
    let filter = HeadFilter { ended, ..HeadFilter::default() };
    let mut done_again = DoneAgain::default();
    let admits = |id: &CoordinationId, head: &HeadRow, summary: &RunSummary| {
        !done_again.take(id, summary) && qualifies.admits(head, summary)
    };
    let found = started(ledger, filter, LISTED + 1, admits)?;
    let text = match found.as_slice() {
        [id] => return Ok(id.clone()),
        [] => format!("there is no {} in {}", qualifies.words(), ledger.dir.display()),
        ids => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let text =
                format!("more than one {} could be meant: {}", qualifies.words(), listed(&ids));
            return Err(CommandError::new(Kind::Usage, text).with_hint("give the id of one"));
        }
    };
    Err(CommandError::new(Kind::Usage, text).with_hint("`antiphon list` shows the runs there are"))
}

/// The newest run that somebody started.
pub(crate) fn newest(ledger: &Ledger) -> Result<CoordinationId, CommandError> {
    let found = started(ledger, HeadFilter::default(), 1, |_, _, _| true)?;
    found.into_iter().next().ok_or_else(|| {
        let text = format!("there are no runs in {}", ledger.dir.display());
        CommandError::new(Kind::Usage, text).with_hint("`antiphon run FILE` starts one")
    })
}

pub(super) fn look_up(
    ledger: &Ledger,
    word: &CoordinationId,
) -> Result<Found<CoordinationId>, CommandError> {
    let stream = StreamName::Coordination(word.clone());
    if !ledger.store.heads(&HeadQuery::Stream(stream))?.is_empty() {
        return Ok(Found::Exact(word.clone()));
    }
    if word.as_str() == LAST {
        return newest(ledger).map(Found::Exact);
    }
    let filter = HeadFilter { prefix: format!("{COORDINATIONS}{word}"), ..HeadFilter::default() };
    let found = started(ledger, filter, LISTED + 1, |_, _, _| true)?;
    Ok(match found.as_slice() {
        [] => Found::Nothing,
        [id] => Found::Prefix(id.clone()),
        ids => Found::Several(ids.iter().map(ToString::to_string).collect()),
    })
}

/// The runs that newer ones do again: under the next id, or as a retry.
#[derive(Default)]
struct DoneAgain {
    /// The ids of the newer ones without their numbers.
    originals: BTreeSet<String>,
    forerunners: BTreeSet<CoordinationId>,
}

impl DoneAgain {
    /// Takes in one run after the other, the newest first. Gives whether a newer one does it again.
    fn take(&mut self, id: &CoordinationId, summary: &RunSummary) -> bool {
        self.forerunners.extend(summary.forerunner.clone());
        let is_newest = self.originals.insert(id.original().to_owned());
        !is_newest || self.forerunners.contains(id)
    }
}

/// Runs that somebody started, the newest first: none that a session of another one is, and none
/// that came into being by itself.
fn started(
    ledger: &Ledger,
    filter: HeadFilter,
    most: usize,
    mut admits: impl FnMut(&CoordinationId, &HeadRow, &RunSummary) -> bool,
) -> Result<Vec<CoordinationId>, CommandError> {
    let prefix = match filter.prefix.is_empty() {
        true => COORDINATIONS.to_owned(),
        false => filter.prefix.clone(),
    };
    let (mut found, mut older_than) = (Vec::new(), None);
    loop {
        let page = HeadFilter { prefix: prefix.clone(), limit: PAGE, older_than, ..filter.clone() };
        let heads = ledger.store.heads(&HeadQuery::List(page))?;
        let is_last = heads.len() < PAGE;
        older_than = heads.last().map(|head| head.stream.clone());
        for head in heads {
            if let Some(id) = started_by_somebody(&head, &mut admits)? {
                found.push(id);
            }
            if found.len() == most {
                return Ok(found);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

fn started_by_somebody(
    head: &HeadRow,
    admits: impl FnOnce(&CoordinationId, &HeadRow, &RunSummary) -> bool,
) -> Result<Option<CoordinationId>, CommandError> {
    let StreamName::Coordination(id) = &head.stream else { return Ok(None) };
    let summary = head.run_summary().map_err(unreadable)?;
    let is_started =
        summary.parent.is_none() && !id.is_shared() && !summary.labels.contains_key(UNDECLARED);
    Ok((is_started && admits(id, head, &summary)).then(|| id.clone()))
}
