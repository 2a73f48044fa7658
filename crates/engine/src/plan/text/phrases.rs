//! Phrases that many messages share: lists of names, likely corrections, long texts cut.

/// How similar two names must be (from 0 to 1) for one to be suggested instead of the other.
const ALIKE: f64 = 0.8;

/// How many known names are searched for a similar one; there may be thousands.
const LOOKED_THROUGH: usize = 1_000;

/// Names that a message lists; of more it says how many there are.
const LISTED: usize = 12;

/// The known name that is most similar.
pub(super) fn similar<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let likeness = |other: &str| {
        // One letter more or less of a short word is much by any measure, and the commonest
        // mistake.
        let close =
            strsim::damerau_levenshtein(name, other) <= 1 + other.len() / 5 && other.len() > 2;
        let alike = strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
        if close { alike.max(ALIKE) } else { alike }
    };
    // A very long text is no misspelling of one of our names.
    if name.len() > 256 {
        return None;
    }
    let best = known
        .take(LOOKED_THROUGH)
        .map(|other| (likeness(other), other))
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then(y.cmp(x)));
    best.filter(|(alike, other)| *alike >= ALIKE && *other != name).map(|(_, other)| other)
}

/// Names for a message.
pub(in crate::plan) fn enumerate(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        more if more > LISTED => format!("{} and {} more", shown.join(", "), more - LISTED),
        _ => shown.join(", "),
    }
}

/// All of some names, as in "`a`, `b` and `c`".
pub(in crate::plan) fn all_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [before @ .., last] => format!("{} and `{last}`", enumerate(before)),
    }
}

/// A number of things, the plural made with an `s`.
pub(in crate::plan) fn numbered(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A text that is short enough for a message.
pub(in crate::plan) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        shown.push('…');
    }
    shown
}
