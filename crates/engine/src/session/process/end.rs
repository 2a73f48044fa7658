//! From the end of a tree to what is recorded: the outcome, what was used, what was put out and
//! printed.

use std::time::Duration;

use antiphon_core::coordination::{ProgramFault, Report, SessionOutcome, TreeReport};
use antiphon_core::envelope::Blob;
use antiphon_core::time::WallTime;
use serde_json::Value;

use super::RESULT_CAP;
use crate::output_files::{FilesBefore, OutputFiles};
use crate::plan::{self, CommandSpec, MissingOutput, UsageReader};
use crate::process::{
    Captured, Cause, Checked, Containment, ExitStatus, Kept, Limit, ResultFile, SessionFolder,
    TreeEnd,
};
use crate::room::shortage_of;
use crate::session::{Failed, Output, SessionResult};
use crate::usage::{AgentRun, Charged, ReportedOutcome, SessionReport, claude, result_file};

const SECOND: u64 = 1_000_000_000;

/// After how long a session is tried again of which the machine kept how it went.
const SOON: u64 = 5 * SECOND;

/// How long a session waits that met a limit and does not say until when.
const WAIT_UNTOLD: u64 = 300 * SECOND;

/// Longest wait that a session may ask for: quotas reset within a week.
const LONGEST_WAIT: u64 = 8 * 24 * 3600 * SECOND;

/// How much of what a program printed last goes into the text of its failure, in bytes.
const LAST_WORDS: usize = 600;

/// The result of a session. Reads the files that it made, as long as that is wanted, and blocks;
/// `before` is what was in their places.
pub(crate) fn result_of(
    spec: &CommandSpec,
    end: TreeEnd,
    folder: &SessionFolder,
    before: &FilesBefore,
    is_wanted: &dyn Fn() -> bool,
    charged: &Charged,
    now: WallTime,
) -> SessionResult {
    let (mut printed, mut unread) = (Vec::new(), Vec::new());
    let (mut untouched, mut made) = (Vec::new(), Vec::new());
    let mut keep = |captured: Captured, kept| {
        if captured.kept == 0 {
            return None;
        }
        match folder.read(kept) {
            Ok(bytes) => {
                let blob = Blob::new(bytes);
                let digest = blob.digest;
                printed.push(blob);
                Some(digest)
            }
            Err(error) => {
                unread.push(format!("its output could not be stored: {error}"));
                None
            }
        }
    };
    let (stdout, stderr) = (keep(end.stdout, Kept::Stdout), keep(end.stderr, Kept::Stderr));
    let mut tree = TreeReport {
        exit: end.status.map(shown),
        stdout,
        stderr,
        cut: end.stdout.cut || end.stderr.cut,
        containment: match end.containment {
            Containment::Warden => "warden",
            Containment::Subreaper => "subreaper",
            Containment::BestEffort => "best-effort",
        }
        .to_owned(),
        clean: end.clean,
        killed: u32::try_from(end.killed).unwrap_or(u32::MAX),
        leftovers: end.leftovers.iter().map(ToString::to_string).collect(),
        files: None,
        fault: fault_of(&end.cause),
    };
    let ran = Duration::from_millis(end.used.time_ms);
    let reading = read(spec, end.result, end.stdout.tail, folder, charged, now);
    let judged = judge(spec, &end, &reading, folder, now).and_then(|bytes| {
        let left = OutputFiles::left(spec.files(), before, is_wanted);
        for declared in spec.files().filter(|declared| left.is_untouched(declared.name)) {
            let (name, path) = (declared.name.to_owned(), declared.path.to_owned());
            let not_written = MissingOutput::NotWritten { name, path }.to_string();
            match declared.fresh {
                true => return Err(Failed::because(not_written)),
                false => untouched.push(not_written),
            }
        }
        if !left.is_empty() {
            let blob = Blob::new(left.to_bytes());
            tree.files = Some(blob.digest);
            made.push(blob);
        }
        Ok(bytes)
    });
    printed.append(&mut made);
    let report = reported(spec, &reading);
    unread.extend(
        reading.degraded.map(|what| format!("its report could only be read in part: {what}")),
    );
    unread.append(&mut untouched);
    let degraded = (!unread.is_empty()).then(|| unread.join("; "));
    match judged {
        Ok(bytes) => Ok(Output::recorded(bytes, degraded, report, reading.scores)
            .with_tree(Some(Box::new(tree)), printed)
            .having_run_for(ran)),
        Err(failed) => {
            let text = [failed.text].into_iter().chain(degraded).collect::<Vec<_>>().join("; ");
            Err(Failed::of(failed.outcome, text)
                .with_report(report)
                .with_tree(Box::new(tree), printed)
                .having_run_for(ran))
        }
    }
}

/// What a session used that was lost together with its engine, as far as it had told by then.
pub(crate) fn used_by_lost(
    spec: &CommandSpec,
    end: Option<&TreeEnd>,
    folder: &SessionFolder,
    now: WallTime,
) -> Option<Report> {
    let result = end.map_or(ResultFile::Absent, |end| end.result);
    let tail = end.map_or(0, |end| end.stdout.tail);
    reported(spec, &read(spec, result, tail, folder, &Charged::default(), now))
}

/// What is charged as reported; nothing where nothing is to be reported.
fn reported(spec: &CommandSpec, reading: &SessionReport) -> Option<Report> {
    reading.report.or_else(|| (spec.usage == UsageReader::None).then(Report::default))
}

/// What the session says of itself: its result file first, then what its program printed, of which
/// the last `tail` bytes follow on a gap.
fn read(
    spec: &CommandSpec,
    result: ResultFile,
    tail: u64,
    folder: &SessionFolder,
    charged: &Charged,
    now: WallTime,
) -> SessionReport {
    let own = match result {
        ResultFile::Absent => SessionReport::default(),
        ResultFile::Kept => match folder.read(Kept::Result) {
            Ok(bytes) => result_file(&bytes),
            Err(error) => unread(format!("its result file could not be read: {error}")),
        },
        ResultFile::TooLarge(size) => unread(format!(
            "its result file has {size} bytes and was not read; at most {} MiB are",
            RESULT_CAP >> 20
        )),
        ResultFile::Unreadable => unread("its result file could not be read".to_owned()),
        ResultFile::Failing(errno) => {
            let error = std::io::Error::from_raw_os_error(errno);
            unread(format!("its result file could not be read: {error}"))
        }
    };
    if matches!(spec.usage, UsageReader::None | UsageReader::Result) {
        return own;
    }
    let stdout = match folder.read(Kept::Stdout) {
        Ok(bytes) => bytes,
        Err(error) => return unread(format!("what it printed could not be read: {error}")),
    };
    let tail = usize::try_from(tail).unwrap_or(0).min(stdout.len());
    let (head, tail) = stdout.split_at(stdout.len() - tail);
    let (head, tail) =
        if tail.is_empty() { (head, None) } else { (without_last_line(head), Some(tail)) };
    let said = claude(
        &AgentRun { printed: head, tail, resumed: resumes(&spec.run), charged: Some(charged) },
        now,
    );
    SessionReport {
        report: said.report.or(own.report),
        outcome: if own.outcome == ReportedOutcome::Nothing { said.outcome } else { own.outcome },
        output: own.output.or(said.output),
        scores: own.scores,
        degraded: own.degraded.or(said.degraded),
    }
}

fn unread(why: String) -> SessionReport {
    SessionReport { outcome: ReportedOutcome::Unread(why), ..SessionReport::default() }
}

/// What comes before the line that says how much was left out.
fn without_last_line(head: &[u8]) -> &[u8] {
    let line = head.strip_suffix(b"\n").unwrap_or(head);
    line.iter().rposition(|byte| *byte == b'\n').map_or(&[], |end| &line[..end])
}

/// Whether a command has an agent go on with an earlier run of its own, as far as its words tell.
fn resumes(run: &plan::Invocation) -> bool {
    let is_long =
        |word: &str| matches!(word, "--resume" | "--continue") || word.starts_with("--resume=");
    let known = |text: &plan::CommandText| -> String {
        let parts = text
            .0
            .iter()
            .map(|part| if let plan::TextPart::Known(known) = part { known.as_str() } else { "" });
        parts.collect()
    };
    match run {
        plan::Invocation::Shell(script) => script.split_whitespace().any(is_long),
        plan::Invocation::Argv(texts) => {
            let words: Vec<String> = texts.iter().map(known).collect();
            let is_agent =
                words.first().is_some_and(|program| program.rsplit('/').next() == Some("claude"));
            match is_agent {
                true => {
                    words.iter().any(|word| is_long(word) || matches!(word.as_str(), "-r" | "-c"))
                }
                false => words.iter().flat_map(|word| word.split_whitespace()).any(is_long),
            }
        }
    }
}

/// What went wrong with the session's own program, as `do` passes it on.
fn fault_of(cause: &Cause) -> Option<ProgramFault> {
    match cause {
        Cause::NotStarted(failure) if failure.is_of_program => {
            let is_missing = failure.errno == rustix::io::Errno::NOENT.raw_os_error();
            Some(if is_missing { ProgramFault::NotFound } else { ProgramFault::NotExecutable })
        }
        Cause::OverLimit(_) => Some(ProgramFault::OverLimit),
        _ => None,
    }
}

/// Whether it did its work, and what it puts out then.
fn judge(
    spec: &CommandSpec,
    end: &TreeEnd,
    reading: &SessionReport,
    folder: &SessionFolder,
    now: WallTime,
) -> Result<Option<Vec<u8>>, Failed> {
    let failed = |text: String| Err(Failed::because(text));
    match &end.cause {
        Cause::Exited => {}
        Cause::NotStarted(failure) => {
            return Err(Failed::of(SessionOutcome::SpawnFailed, failure.text.clone()));
        }
        Cause::TimedOut => {
            let text = match reading.outcome {
                ReportedOutcome::Succeeded => "timed out after it had reported success",
                _ => "timed out",
            };
            return Err(Failed::of(SessionOutcome::Timeout, text));
        }
        Cause::Cancelled => {
            return Err(Failed::of(SessionOutcome::Cancelled, "asked to stop"));
        }
        Cause::OverLimit(limit) => return failed(over(*limit)),
        Cause::EngineLost => {
            return Err(Failed::of(
                SessionOutcome::Lost,
                "the engine stopped while the session ran",
            ));
        }
        Cause::WardenLost if end.clean => {
            return failed("its warden was lost, and its processes were ended".to_owned());
        }
        Cause::WardenLost => {
            let text = "its warden was lost, and whether all of its processes were ended is not \
                        known";
            return failed(text.to_owned());
        }
    }
    if !end.clean {
        return failed("it left processes running that cannot be ended".to_owned());
    }
    if let Some(what) = kept_from_us(end, reading) {
        let soon = now.0.saturating_add(SOON);
        return Err(Failed::deferred_to(WallTime(soon), format!("{what}; it is tried again")));
    }
    if let ReportedOutcome::Deferred { until, text } = &reading.outcome {
        let earliest = now.0.saturating_add(SECOND);
        let until = until.map_or(now.0.saturating_add(WAIT_UNTOLD), |until| until.0);
        let until = WallTime(until.clamp(earliest, now.0.saturating_add(LONGEST_WAIT)));
        return Err(Failed::deferred_to(until, text.clone()));
    }
    match (&end.check, end.status) {
        // A check decides, whatever the program's exit code is.
        (Some(check), _) => {
            if let Some(why) = refused_by(check, folder) {
                return failed(why);
            }
        }
        (None, _) if spec.check.is_some() => return failed("its check was not run".to_owned()),
        (None, Some(status)) if !status.is_zero() => {
            let text = match &reading.outcome {
                ReportedOutcome::Failed(text) => text.clone(),
                _ => last_words(folder, Kept::Stderr, Kept::Stdout),
            };
            return failed(joined(shown(status), text));
        }
        (None, _) => match &reading.outcome {
            ReportedOutcome::Failed(text) => {
                return failed(joined("it reported a failure".to_owned(), text.clone()));
            }
            ReportedOutcome::Unread(why) => {
                let words = last_words(folder, Kept::Stderr, Kept::Stdout);
                return failed(joined(why.clone(), words));
            }
            _ => {}
        },
    }
    spec.session_output(reading.output.as_ref(), is_put_out)
        .or_else(|error| failed(error.to_string()))
        .map(text_as_it_is)
}

/// What the machine, and not the session, kept from being known of how it went, where that decides.
fn kept_from_us(end: &TreeEnd, reading: &SessionReport) -> Option<String> {
    if let Some(Checked { cause: Cause::NotStarted(failure), .. }) = &end.check
        && let Some(what) = shortage_of(&failure.text)
    {
        return Some(format!("its check could not be started: {what}"));
    }
    match &reading.outcome {
        ReportedOutcome::Unread(why) => shortage_of(why),
        _ => None,
    }
}

/// Whether something is where a session was to put it: a file or a directory, not what others would
/// wait for.
fn is_put_out(path: &std::path::Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() || found.is_dir())
}

/// A text that a session puts out is kept as it is, not as JSON.
fn text_as_it_is(output: Option<Vec<u8>>) -> Option<Vec<u8>> {
    output.map(|bytes| match serde_json::from_slice(&bytes) {
        Ok(Value::String(text)) => text.into_bytes(),
        _ => bytes,
    })
}

fn refused_by(check: &Checked, folder: &SessionFolder) -> Option<String> {
    let why = match (&check.cause, check.status) {
        (Cause::Exited, Some(status)) if status.is_zero() => return None,
        (Cause::Exited, Some(status)) => shown(status),
        (Cause::NotStarted(failure), _) => failure.text.clone(),
        (Cause::TimedOut, _) => "timed out".to_owned(),
        (_, status) => status.map_or_else(|| "it was ended".to_owned(), shown),
    };
    Some(joined(
        format!("its check failed: {why}"),
        last_words(folder, Kept::CheckStderr, Kept::CheckStdout),
    ))
}

fn joined(what: String, words: String) -> String {
    if words.is_empty() { what } else { format!("{what}: {words}") }
}

/// The last lines that were printed, as far as they are quoted: of the errors, else of what many
/// programs print them to as well.
fn last_words(folder: &SessionFolder, errors: Kept, output: Kept) -> String {
    let last = |kept| {
        let bytes = folder.read(kept).unwrap_or_default();
        let text =
            String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LAST_WORDS)..]).into_owned();
        text.trim_matches(|char: char| char.is_whitespace() || char == char::REPLACEMENT_CHARACTER)
            .to_owned()
    };
    let words = last(errors);
    if words.is_empty() { last(output) } else { words }
}

fn shown(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit {code}"),
        ExitStatus::Signal { signal, core: false } => format!("signal {signal}"),
        ExitStatus::Signal { signal, core: true } => format!("signal {signal}, with a core"),
    }
}

fn over(limit: Limit) -> String {
    let what = match limit {
        Limit::Memory { found } => format!("memory limit with {found} bytes"),
        Limit::Processes { found } => format!("limit on processes with {found}"),
        Limit::Cpu { found } => format!("limit on CPU time with {found} ms"),
    };
    format!("it exceeded its {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_is_told_to_resume_is_known_by_its_words() {
        let argv = |words: &[&str]| {
            plan::Invocation::Argv(
                words.iter().map(|word| plan::CommandText::known(*word)).collect(),
            )
        };
        let cases = [
            (argv(&["claude", "-p", "--resume", "id"]), true),
            (argv(&["/usr/bin/claude", "-c", "-p"]), true),
            (argv(&["claude", "-p", "make it --resume again"]), false),
            (argv(&["sh", "-c", "claude -p --resume=id"]), true),
            (argv(&["sh", "-c", "claude -p"]), false),
            (plan::Invocation::Shell("claude -p --continue".to_owned()), true),
        ];
        for (run, expected) in cases {
            assert_eq!(resumes(&run), expected, "{run:?}");
        }
    }

    #[test]
    fn the_line_about_a_cut_is_no_output() {
        assert_eq!(without_last_line(b"a\nb\n[antiphon: 7 bytes were left out here]\n"), b"a\nb");
        assert_eq!(without_last_line(b"\n[antiphon]\n"), b"");
        assert_eq!(without_last_line(b""), b"");
    }
}
