//! What is wrong with a plan: every problem with its place, the line's text and what to do.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize, Serializer};

use super::phrases::similar;
use super::source::{SourceText, Span};

/// Problems that are kept; a file in another language would give thousands.
const MAX_PROBLEMS: usize = 100;

/// Different problems that are remembered until the first ones in the order of the text are known.
const MAX_REMEMBERED: usize = 50 * MAX_PROBLEMS;

/// What comparing two names takes at least, in pairs of bytes.
const NAME_COSTS: usize = 64;

/// How many pairs of bytes are compared in the search for similar names.
const MAX_COMPARED: usize = 1 << 24;

/// Longest message that is kept, in characters.
const MAX_MESSAGE_CHARS: usize = 500;

/// What kind of problem it is; a contract, as `--json` prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiagnosticCode {
    /// A file cannot be read, or is not UTF-8.
    Unreadable,
    /// A file, value or expansion is larger than allowed.
    TooLarge,
    /// The text is not YAML.
    Syntax,
    /// Something of YAML that plans do not have: tags, several documents, merge keys.
    NotInPlans,
    /// A key that appears twice.
    DuplicateKey,
    /// A key that has no meaning.
    UnknownKey,
    /// A key that is reserved for a later version.
    NotYetSupported,
    /// A key that must be there is not.
    MissingKey,
    /// Keys that exclude each other.
    Conflict,
    /// A value of another kind than the key takes.
    WrongType,
    /// A quantity without a unit, or with an unknown one.
    WrongUnit,
    /// A value that the key does not take.
    BadValue,
    /// An id or a name that is none.
    BadId,
    /// A runner that is not there.
    UnknownRunner,
    /// A need on something that is not there.
    UnknownNeed,
    /// Items that wait for each other.
    Cycle,
    /// A placeholder that is malformed or names nothing.
    BadPlaceholder,
    /// A parameter of a runner that an item does not give.
    MissingParameter,
    /// A parameter that nothing uses.
    UnusedParameter,
    /// A secret that the plan itself contains.
    InlineSecret,
    /// An input file that is not there.
    MissingFile,
    /// A name of the caller's environment that is not there.
    MissingVariable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub struct Diagnostic {
    pub code: DiagnosticCode,
    pub message: String,
    /// What to do about it, if there is something to suggest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Where in the file, unless it is about the whole file.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<TextPosition>,
}

/// Also a path that is not in UTF-8, as far as it can be.
#[expect(clippy::ptr_arg, reason = "serde hands over what the field is")]
fn as_text<S: Serializer>(path: &PathBuf, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names of its fields say it")]
pub struct TextPosition {
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text; long ones are cut around the mark, and secrets are not shown.
    pub text: String,
    /// The part of `text` that the diagnostic is about, in bytes.
    #[serde(skip)]
    pub mark: std::ops::Range<usize>,
}

/// Every problem of a plan and the plans in it, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct PlanError {
    /// The problems; at least one.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    pub left_out: usize,
}

impl PlanError {
    /// One problem about a whole file.
    pub(in crate::plan) fn of_file(
        code: DiagnosticCode,
        path: impl Into<PathBuf>,
        message: impl Into<String>,
    ) -> Self {
        let problem = Diagnostic {
            code,
            message: message.into(),
            hint: None,
            path: path.into(),
            place: None,
        };
        Self { diagnostics: vec![problem], left_out: 0 }
    }

    /// The problems of several files as one.
    pub(in crate::plan) fn join(&mut self, other: Self) {
        for problem in other.diagnostics {
            // A nested plan that several items name has its problems once.
            if !self.diagnostics.contains(&problem) {
                self.diagnostics.push(problem);
            }
        }
        self.left_out += other.left_out;
        self.left_out += self.diagnostics.len().saturating_sub(MAX_PROBLEMS);
        self.diagnostics.truncate(MAX_PROBLEMS);
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        match self.left_out {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// A text that names things of the user's, which may be long.
fn cut(text: String) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Problems of one file while it is read.
#[derive(Debug)]
pub(in crate::plan) struct Diagnostics<'a> {
    source: &'a SourceText,
    found: Vec<Pending>,
    /// Prints of all problems, so that each is counted once: cells share the text that they come
    /// from.
    known: HashSet<u64>,
    /// How often something was reported.
    reported: usize,
    /// Where what is said of a problem goes that is not remembered.
    ignored: Pending,
    masked: Vec<Span>,
    compared: usize,
}

#[derive(Debug)]
struct Pending {
    code: DiagnosticCode,
    span: Span,
    message: String,
    hint: Option<String>,
}

impl Pending {
    fn new(code: DiagnosticCode, span: Span, message: String) -> Self {
        Self { code, span, message, hint: None }
    }
}

/// Equal values have equal prints, and others do not, but for a chance in billions, which would
/// leave out one of many problems.
fn print_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A problem that was just found, for what to do about it.
pub(in crate::plan) struct Reported<'a>(&'a mut Pending);

impl Reported<'_> {
    pub(in crate::plan) fn hint(self, hint: impl Into<String>) {
        self.0.hint = Some(hint.into());
    }

    /// A hint, if there is one.
    pub(in crate::plan) fn hint_if(self, hint: Option<String>) {
        self.0.hint = hint;
    }
}

impl<'a> Diagnostics<'a> {
    pub(in crate::plan) fn new(source: &'a SourceText) -> Self {
        Self {
            source,
            found: Vec::new(),
            known: HashSet::new(),
            reported: 0,
            ignored: Pending::new(DiagnosticCode::Unreadable, Span::default(), String::new()),
            masked: Vec::new(),
            compared: 0,
        }
    }

    pub(in crate::plan) fn source(&self) -> &'a SourceText {
        self.source
    }

    pub(in crate::plan) fn error(
        &mut self,
        code: DiagnosticCode,
        span: Span,
        message: impl Into<String>,
    ) -> Reported<'_> {
        let message = message.into();
        self.reported += 1;
        let is_new = self.known.insert(print_of(&(code, span, &message)));
        if !is_new || self.found.len() >= MAX_REMEMBERED {
            return Reported(&mut self.ignored);
        }
        self.found.push(Pending::new(code, span, cut(message)));
        Reported(self.found.last_mut().expect("BUG: one was just pushed"))
    }

    /// Keeps a part of the text out of every excerpt.
    pub(in crate::plan) fn mask(&mut self, span: Span) {
        self.masked.push(span);
    }

    /// Whether so much is wrong that hints for further problems are not worth the search; the plan
    /// is refused anyway.
    pub(in crate::plan) fn is_full(&self) -> bool {
        self.reported > 10 * MAX_PROBLEMS
    }

    /// Suggests the known name that is most similar.
    pub(in crate::plan) fn suggestion<'k>(
        &mut self,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Option<String> {
        self.similar(name, known).map(|other| format!("did you mean `{other}`?"))
    }

    /// The known name that is most similar, as long as looking for one has not taken too long: many
    /// names that are not quite right would be compared with each other.
    pub(in crate::plan) fn similar<'k>(
        &mut self,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Option<&'k str> {
        let (compared, mut done) = (&mut self.compared, false);
        let known = known.take_while(|other| {
            *compared = compared.saturating_add(NAME_COSTS + name.len() * other.len());
            done = *compared > MAX_COMPARED;
            !done
        });
        let found = similar(name, known);
        found.filter(|_| !done)
    }

    /// All problems in the order of the text, each once.
    pub(in crate::plan) fn finish(mut self) -> Result<(), PlanError> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|found| (found.span, found.code));
        let left_out = self.known.len().saturating_sub(MAX_PROBLEMS);
        self.found.truncate(MAX_PROBLEMS);
        let (source, masked) = (self.source, &self.masked);
        let problems = self.found.into_iter().map(|found| {
            let excerpt = source.excerpt(found.span, masked);
            let place = TextPosition {
                line: excerpt.line,
                column: excerpt.column,
                text: excerpt.text,
                mark: excerpt.mark,
            };
            let Pending { code, message, hint, .. } = found;
            let hint = hint.map(cut);
            Diagnostic { code, message, hint, path: source.path().to_owned(), place: Some(place) }
        });
        Err(PlanError { diagnostics: problems.collect(), left_out })
    }
}
