//! What may name an item, a runner, a group, an input or an output.

use crate::plan::text::{DiagnosticCode, Diagnostics, Spanned, is_name, shorten};

/// Longest id of an item, a runner or a group, in bytes; the rest of what ids may have is room for
/// the cells of a matrix.
const MAX_NAME_BYTES: usize = 128;

/// Names that placeholders use for something else.
const RESERVED: &[&str] = &["input"];

/// Reports what keeps a text from naming an item, a runner or a group.
pub(super) fn check_name(what: &str, name: &Spanned<String>, diagnostics: &mut Diagnostics<'_>) {
    let text = name.value.as_str();
    let wrong = text.chars().find(|c| !(c.is_alphanumeric() || "_-./".contains(*c)));
    const HOW: &str =
        "names begin with a letter, a digit or `_`, and continue with these, `-`, `.` and `/`";
    let (message, hint) = if text.is_empty() {
        (format!("this {what} has an empty name"), HOW)
    } else if text.len() > MAX_NAME_BYTES {
        let message = format!(
            "the name of this {what} has {} bytes; at most {MAX_NAME_BYTES} are allowed",
            text.len()
        );
        (message, "choose a shorter one")
    } else if let Some(wrong) = wrong {
        let of = article(what);
        (format!("{wrong:?} is not allowed in the name of {of} `{}`", shorten(text)), HOW)
    } else if !text.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        let message = format!(
            "the name of {} must start with a letter, a digit or `_`, unlike `{}`",
            article(what),
            shorten(text)
        );
        (message, HOW)
    } else if RESERVED.contains(&text) {
        (format!("`{text}` has another meaning in placeholders"), "choose another name")
    } else {
        return;
    };
    diagnostics.error(DiagnosticCode::BadId, name.span, message).hint(hint);
}

fn article(what: &str) -> String {
    format!("{} {what}", if what.starts_with('i') { "an" } else { "a" })
}

/// `None` for a text that cannot name an input or an output, which is reported.
pub(super) fn check_part_name(
    what: &str,
    name: &Spanned<String>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<()> {
    if is_name(&name.value) {
        return Some(());
    }
    let message = format!("`{}` is not a valid name for {what}", shorten(&name.value));
    diagnostics
        .error(DiagnosticCode::BadId, name.span, message)
        .hint("these names start with a letter or `_`, followed by letters, digits, `_` or `-`");
    None
}
