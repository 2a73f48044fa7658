//! Scores of gates as people write them.

use antiphon_core::coordination::GATE_SCALE;

/// Digits behind the point that a score may have.
const PLACES: usize = GATE_SCALE.ilog10() as usize;

/// Reads a decimal number as a whole number of millionths, as the keys of gates have them.
///
/// ```
/// assert_eq!(antiphon::keys::millionths("0.85"), Ok(850_000));
/// assert!(antiphon::keys::millionths("0.0000001").is_err(), "nothing is rounded");
/// ```
///
/// # Errors
/// What is wrong with the text, as the end of a sentence about it.
pub fn millionths(text: &str) -> Result<i64, String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || digits.ends_with('.') {
        return Err("it must be a decimal number, such as 0.85".to_owned());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > PLACES {
        return Err(format!("it has more than {PLACES} digits behind its point"));
    }
    let millionths = format!("{sign}{whole}{fraction:0<PLACES$}").parse();
    millionths.map_err(|_| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_read_digit_by_digit_and_never_rounded() {
        let exact = [
            ("0.85", 850_000),
            ("1", 1_000_000),
            ("0.1", 100_000),
            ("-0.000001", -1),
            ("0.2900000000", 290_000),
            ("9223372036854.775807", i64::MAX),
        ];
        for (text, score) in exact {
            assert_eq!(millionths(text), Ok(score), "{text}");
        }
        for wrong in
            ["", ".5", "5.", "0.0000001", "1e-3", "+1", "--1", "nan", "1,5", "9223372036854.775808"]
        {
            assert!(millionths(wrong).is_err(), "{wrong}");
        }
    }
}
