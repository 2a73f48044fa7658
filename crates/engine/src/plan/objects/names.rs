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
    let message = if text.is_empty() {
        format!("the name of this {what} is empty")
    } else if text.len() > MAX_NAME_BYTES {
        format!(
            "the name of this {what} has {} bytes; at most {MAX_NAME_BYTES} are allowed",
            text.len()
        )
    } else if let Some(wrong) = wrong {
        format!("{:?} cannot stand in the name of {} `{}`", wrong, article(what), shorten(text))
    } else if !text.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        format!(
            "the name of {} begins with a letter, a digit or `_`, not as `{}` does",
            article(what),
            shorten(text)
        )
    } else if RESERVED.contains(&text) {
        format!("`{text}` is what placeholders call something else")
    } else {
        return;
    };
    diagnostics
        .error(DiagnosticCode::BadId, name.span, message)
        .hint("names are made of letters, digits, `_`, `-`, `.` and `/`");
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
    let message = format!("`{}` cannot name {what}", shorten(&name.value));
    diagnostics
        .error(DiagnosticCode::BadId, name.span, message)
        .hint("such names begin with a letter or `_` and go on with letters, digits, `_` or `-`");
    None
}
