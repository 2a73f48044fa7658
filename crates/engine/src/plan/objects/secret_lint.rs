//! Secrets that a plan contains: reported, and kept out of what is shown.
//!
//! This finds what looks like one. It is a net under a mistake, not a promise that there is none.

use crate::plan::text::{DiagnosticCode, Diagnostics, Spanned};

/// How the tokens of well-known services begin.
const TOKENS: &[&str] =
    &["sk-", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "AIza"];

/// How private keys begin.
const PRIVATE_KEY: &str = "-----BEGIN";

/// Shorter words are taken for ones that happen to begin so.
const MIN_TOKEN_BYTES: usize = 16;

/// Words at the end of a variable's name that say that its value is secret.
const SECRET_WORDS: &[&str] =
    &["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "CREDENTIALS"];

/// Tells of a text that looks like a token.
pub(in crate::plan) fn inspect_text(text: &Spanned<String>, diagnostics: &mut Diagnostics<'_>) {
    let mut words =
        text.value.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    let is_token = |word: &str| {
        word.len() >= MIN_TOKEN_BYTES && TOKENS.iter().any(|token| word.starts_with(token))
    };
    if words.any(is_token) || text.value.contains(PRIVATE_KEY) {
        diagnostics.mask(text.span);
        diagnostics
            .error(
                DiagnosticCode::InlineSecret,
                text.span,
                "this looks like a secret, and plans \
                are stored",
            )
            .hint(
                "remove it, revoke it where it was issued, and refer to it by name: env: { NAME: \
                { secret: NAME } }",
            );
    }
}

/// Tells of a value under a name that says that it is secret, if it is one.
pub(in crate::plan) fn inspect_variable(
    name: &Spanned<String>,
    value: &Spanned<String>,
    diagnostics: &mut Diagnostics<'_>,
) -> bool {
    let last = name.value.rsplit('_').next().unwrap_or_default().to_uppercase();
    if !SECRET_WORDS.contains(&last.as_str())
        || value.value.is_empty()
        || value.value.contains("{{")
    {
        return false;
    }
    diagnostics.mask(value.span);
    let message = format!("the plan contains the value of `{}`, and plans are stored", name.value);
    let hint = format!(
        "refer to it by name: {0}: {{ secret: {0} }}; if it is not a secret, write {0}: {{ text: \
        .. }}",
        name.value
    );
    diagnostics.error(DiagnosticCode::InlineSecret, value.span, message).hint(hint);
    true
}
