//! What is found in a state directory, check by check; nothing is changed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use antiphon::coordination::Stage;
use antiphon::id::StreamName;
use antiphon::ledger::verify::{Finding, Place, Scope, VerifyReport};
use antiphon::ledger::{
    FORMAT, HeadFilter, HeadMark, HeadQuery, LedgerPosition, Location, MarkError, MarkRefusal,
    ReadError,
};
use antiphon::time::WallTime;
use serde::Serialize;

use crate::colour::Colour;
use crate::command_error::chain;
use crate::labels::counted;
use crate::ledger::{COORDINATIONS, Ledger};
use crate::timestamps;

/// Head rows read at a time.
const PAGE: usize = 10_000;

/// Findings of the verification that are spelled out.
const SHOWN: usize = 10;

/// The check of the head mark, and what can always be done about it.
const HEAD_MARK: &str = "head mark";
const RESTORE: &str = "restore the directory from a copy";

/// The place of a finding about which ledger this is.
const IDENTITY: &str = "the row of the table `ledger`";

/// All that was found.
pub(super) struct Examination {
    pub(super) checks: Vec<CheckResult>,
    /// Why opening the ledger would be refused for its head mark.
    pub(super) refusal: Option<MarkRefusal>,
    /// Whether an engine holds it now.
    held: bool,
    readable: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct CheckResult {
    #[serde(rename = "check")]
    pub(super) name: &'static str,
    pub(super) state: CheckState,
    pub(super) text: String,
    /// What is safe to do about it.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CheckState {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something is wrong.
    Problem,
}

impl From<CheckState> for Colour {
    fn from(state: CheckState) -> Self {
        match state {
            CheckState::Ok => Self::Good,
            CheckState::Note => Self::Caution,
            CheckState::Problem => Self::Bad,
        }
    }
}

impl CheckState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

impl Examination {
    /// Notes that an engine holds the directory.
    pub(super) fn note_holder(&mut self) {
        self.held = true;
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Looks at a state directory; the whole record is verified unless it is to be quick.
    pub(super) fn of(dir: &Path, quick: bool) -> Self {
        let mut found = Self { checks: Vec::new(), refusal: None, held: false, readable: false };
        if found.directory(dir) {
            found.surroundings(dir);
            found.lock(dir);
            found.socket(dir);
            found.sessions(dir);
            found.poison(dir);
            match Ledger::at(dir).position() {
                Ok(position) => found.ledger(dir, &position, quick),
                Err(error) => found.unreadable(dir, &error),
            }
        }
        found
    }

    /// Whether no check found a problem.
    pub(super) fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.state != CheckState::Problem)
    }

    /// Whether there is a ledger that can be read.
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    pub(super) fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(CheckState::Ok, name, text.into(), None);
    }

    pub(super) fn note(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(CheckState::Note, name, text.into(), Some(advice.into()));
    }

    pub(super) fn problem(
        &mut self,
        name: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(CheckState::Problem, name, text.into(), Some(advice.into()));
    }

    fn add(&mut self, state: CheckState, name: &'static str, text: String, advice: Option<String>) {
        self.checks.push(CheckResult { name, state, text, advice });
    }

    /// Whether there is something to go on with.
    fn directory(&mut self, dir: &Path) -> bool {
        const NAME: &str = "directory";
        let shown = dir.display();
        match std::fs::metadata(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let advice = "choose another with --dir or ANTIPHON_DIR; `antiphon run` creates it";
                self.problem(NAME, format!("{shown} does not exist"), advice);
                return false;
            }
            Err(error) => {
                self.problem(
                    NAME,
                    format!("cannot examine {shown}: {error}"),
                    "check that this user may read it",
                );
                return false;
            }
            Ok(found) if !found.is_dir() => {
                self.problem(
                    NAME,
                    format!("{shown} is not a directory"),
                    "choose another with --dir or ANTIPHON_DIR",
                );
                return false;
            }
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                let mode = found.permissions().mode() & 0o777;
                let text = format!("{shown} is open to other users (mode {mode:o})");
                self.note(NAME, text, "the next engine makes it private; `chmod 700` does so now");
            }
            Ok(_) => self.ok(NAME, shown.to_string()),
        }
        true
    }

    fn poison(&mut self, dir: &Path) {
        const NAME: &str = "disk errors";
        match Location::directory(dir).files().poison_note() {
            Ok(None) => self.ok(NAME, "none noted"),
            Ok(Some(note)) => {
                let advice = "check the disk, verify the ledger, then start an engine, which removes this note once it has verified the ledger";
                self.problem(NAME, note.trim_end().to_owned(), advice);
            }
            Err(fault) => {
                self.problem(NAME, chain(&fault), "check that this user may read the directory");
            }
        }
    }

    fn unreadable(&mut self, dir: &Path, error: &ReadError) {
        match error {
            ReadError::Absent { .. } => match HeadMark::read(dir) {
                Ok(Some(mark)) => {
                    let text = format!(
                        "there is none, but a head mark names commit {} of epoch {}",
                        mark.commit.number, mark.epoch
                    );
                    let advice = "restore `ledger.db` and `blobs` from a copy; --accept-shorter starts over, and everything is lost";
                    self.problem("ledger", text, advice);
                    self.refusal =
                        mark.check(None, Default::default(), Default::default(), None).err();
                }
                _ => {
                    match std::fs::read_dir(dir).and_then(|mut entries| entries.next().transpose())
                    {
                        Err(error) => {
                            let text = format!("cannot list {}: {error}", dir.display());
                            self.problem(
                                "ledger",
                                text,
                                "check that this user may read the directory",
                            );
                        }
                        Ok(None) => {
                            self.problem(
                                "ledger",
                                "there is none, and the directory is empty",
                                "`antiphon run` creates one",
                            );
                        }
                        Ok(Some(entry)) => {
                            let text =
                                format!("there is none, but there is {:?}", entry.file_name());
                            self.problem(
                                "ledger",
                                text,
                                "choose a state directory with --dir or ANTIPHON_DIR",
                            );
                        }
                    }
                }
            },
            ReadError::Damaged { what, how } => {
                let advice = "keep the directory as evidence, and restore a copy";
                self.problem("ledger", format!("{what} is damaged: {how}"), advice);
            }
            ReadError::Gone(gone) => {
                self.problem("ledger", gone.to_string(), "run it again");
            }
            ReadError::Fault(fault) => {
                self.problem(
                    "ledger",
                    chain(fault),
                    "check that this user may read it and that the disk is healthy",
                );
            }
        }
    }

    fn ledger(&mut self, dir: &Path, position: &LedgerPosition, quick: bool) {
        const NAME: &str = "ledger";
        let LedgerPosition { ledger, format, epoch, .. } = position;
        self.readable = true;
        if *format == FORMAT {
            self.ok(NAME, format!("format {format}, epoch {epoch}, id {ledger}"));
        } else {
            let text = format!(
                "format {format}, which this version cannot read (it reads {FORMAT}), id {ledger}"
            );
            self.problem(NAME, text, "use the version that wrote it or a newer one");
            return;
        }
        self.contents(dir, position);
        self.head_mark(dir, position);
        if quick {
            self.note("record", "not verified", "run without --quick, or run `antiphon verify`");
        } else {
            self.record(dir);
        }
    }

    fn contents(&mut self, dir: &Path, position: &LedgerPosition) {
        const NAME: &str = "contents";
        let store = Ledger::at(dir).store;
        let (mut states, mut older_than) = (BTreeMap::<&str, u64>::new(), None);
        let mut runs = 0;
        loop {
            let filter = HeadFilter {
                prefix: COORDINATIONS.to_owned(),
                older_than,
                limit: PAGE,
                ..HeadFilter::default()
            };
            let page = match store.heads(&HeadQuery::List(filter)) {
                Ok(page) => page,
                Err(error) => return self.unreadable_contents(NAME, &error),
            };
            let Some(last) = page.last() else { break };
            older_than = Some(last.stream.clone());
            runs += page.len();
            for head in page {
                match head.stage() {
                    Ok(stage) => *states.entry(stage.as_str()).or_default() += 1,
                    Err(error) => {
                        let advice = "run `antiphon verify` for everything that is wrong";
                        return self.problem(NAME, error.to_string(), advice);
                    }
                }
            }
        }
        let cut_off = states.get(Stage::Starting.as_str()).copied().unwrap_or(0);
        let states: Vec<String> =
            states.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
        let states =
            if states.is_empty() { String::new() } else { format!(" ({})", states.join(", ")) };
        let LedgerPosition { commits, events, .. } = position;
        let text = format!(
            "{}{states}, {} in {}",
            counted(runs, "run"),
            counted(events.0, "event"),
            counted(commits.number.0, "commit")
        );
        let own = match store.heads(&HeadQuery::Stream(StreamName::Ledger)) {
            Ok(own) => own,
            Err(error) => return self.unreadable_contents(NAME, &error),
        };
        match own.first() {
            _ if cut_off > 0 && !self.held => {
                let runs = counted(cut_off, "run");
                self.note(
                    NAME,
                    format!("{text}\n{runs} only partly submitted"),
                    "`antiphon list --status starting` lists them; `antiphon status ID` says how to continue or end each",
                );
            }
            Some(head) if head.is_open_ledger() && !self.held => {
                self.note(
                    NAME,
                    text + "\nthe last engine did not shut down cleanly",
                    "nothing; the next engine continues where that one stopped",
                );
            }
            _ => self.ok(NAME, text),
        }
    }

    fn unreadable_contents(&mut self, name: &'static str, error: &ReadError) {
        self.problem(name, chain(error), "run `antiphon verify` for everything that is wrong");
    }

    fn head_mark(&mut self, dir: &Path, position: &LedgerPosition) {
        const NAME: &str = HEAD_MARK;
        let advice = format!("{RESTORE}, or continue");
        let mark = match HeadMark::read(dir) {
            Ok(Some(mark)) => mark,
            Ok(None) if position.commits == Default::default() => {
                return self.ok(NAME, "none yet, and no commits");
            }
            Ok(None) => {
                let refusal = MarkRefusal::Missing {
                    path: HeadMark::path(dir),
                    commits: position.commits.number,
                };
                self.problem(
                    NAME,
                    refusal.to_string(),
                    format!("{advice} with --accept-missing-mark"),
                );
                self.refusal = Some(refusal);
                return;
            }
            Err(error @ MarkError::Io { .. }) => {
                return self.problem(NAME, error.to_string(), "check that this user may read it");
            }
            Err(error @ MarkError::Damaged { .. }) => {
                let text = format!("{error}, so nothing can tell whether the ledger is complete");
                self.problem(NAME, text, format!("{advice} with --accept-missing-mark"));
                self.refusal = Some(error.into());
                return;
            }
        };
        match Location::directory(dir).check_against(&mark) {
            Ok(Ok(())) => {
                let written =
                    std::fs::metadata(HeadMark::path(dir)).and_then(|found| found.modified()).ok();
                let written = written.and_then(|time| {
                    u64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_nanos()).ok()
                });
                let age = written
                    .map(|wall| format!(", written {} ago", timestamps::age(WallTime(wall))))
                    .unwrap_or_default();
                self.ok(
                    NAME,
                    format!(
                        "commit {} of epoch {}{age}; the ledger reaches it",
                        mark.commit.number, mark.epoch
                    ),
                );
            }
            Ok(Err(refusal)) => {
                self.problem(NAME, refusal.to_string(), format!("{advice} with --accept-shorter"));
                self.refusal = Some(refusal);
            }
            Err(error) => self.problem(
                NAME,
                chain(&error),
                "run `antiphon verify` for everything that is wrong",
            ),
        }
    }

    fn record(&mut self, dir: &Path) {
        const NAME: &str = "record";
        let report = match Location::directory(dir).verify(&Scope::Ledger) {
            Ok(mut report) => {
                // That has a check of its own.
                report.findings.retain(|finding| finding.place != Place::HeadMark);
                report
            }
            Err(error) => {
                return self.problem(
                    NAME,
                    chain(&error),
                    "check that this user may read it and that the disk is healthy",
                );
            }
        };
        // Whatever is accepted of the head mark, no engine opens a ledger that is not itself.
        let is_another = |finding: &Finding| matches!(&finding.place, Place::Beside { what } if what == IDENTITY);
        if report.findings.iter().any(is_another) {
            for check in self.checks.iter_mut().filter(|check| check.name == HEAD_MARK) {
                check.advice = check.advice.take().map(|_| RESTORE.to_owned());
            }
        }
        let text = verified(&report);
        if report.is_sound() {
            return self.ok(NAME, text);
        }
        let advice = match report.findings.len() as u64 + report.omitted {
            all if all > SHOWN as u64 => {
                format!("`antiphon verify` lists all {all} and what to do about each")
            }
            _ => "see each finding; do not remove anything by hand".to_owned(),
        };
        self.problem(NAME, text, advice);
    }
}

fn verified(report: &VerifyReport) -> String {
    let VerifyReport { events, receipts_rebuilt, erased, blobs_erased, .. } = report;
    let mut text = format!(
        "{} verified, {} rebuilt, {} erased",
        counted(*events, "event"),
        counted(*receipts_rebuilt, "receipt"),
        counted(*erased, "payload")
    );
    if *blobs_erased > 0 {
        text.push_str(&format!(", {} erased", counted(*blobs_erased, "blob")));
    }
    for stream in &report.not_rebuildable {
        text.push_str(&format!(
            "\n{}: not rebuildable: {} erased, as recorded",
            stream.stream, stream.erased
        ));
    }
    for finding in report.findings.iter().take(SHOWN) {
        text.push_str(&format!("\n{finding}"));
    }
    text
}
