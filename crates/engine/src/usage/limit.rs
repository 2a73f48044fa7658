//! Texts that agent programs print when a quota or a rate limit keeps them from working, and the
//! moment that they name.

use antiphon_core::time::WallTime;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

const SECOND: u64 = 1_000_000_000;

/// Phrases of limits, in lower case.
const PHRASES: [&str; 8] = [
    "usage limit reached",
    "limit reached",
    "hit your limit",
    "hit your session limit",
    "hit your weekly limit",
    "rate limit",
    "rate_limit_error",
    "out of extra usage",
];

/// Whether a text says that a limit was reached.
pub(super) fn is_reached(text: &str) -> bool {
    let text = text.to_lowercase();
    PHRASES.iter().any(|phrase| text.contains(phrase))
}

/// The moment that a text names: `...|1749924000`, or `resets 3pm (Area/City)` and the like. It is
/// the next such moment after `now`.
pub(super) fn reset(text: &str, now: WallTime) -> Option<WallTime> {
    epoch(text).or_else(|| clock_time(text, now))
}

/// Seconds since 1970 after a bar.
fn epoch(text: &str) -> Option<WallTime> {
    let digits: String =
        text.rsplit_once('|')?.1.trim_start().chars().take_while(char::is_ascii_digit).collect();
    let seconds: u64 = digits.parse().ok()?;
    // Between 2001 and 2286: ten digits, which is what a moment has and a count has not.
    (digits.len() == 10).then(|| WallTime(seconds * SECOND))
}

/// `resets 3pm (Area/City)`, `reset at 9:30am (Area/City)`; without a zone the machine's own.
fn clock_time(text: &str, now: WallTime) -> Option<WallTime> {
    // Other letters may take more or fewer bytes in lower case, so places in the one text would be
    // none in the other.
    let after = &text[text.to_ascii_lowercase().find("reset")?..];
    let time = after.split_whitespace().skip(1).find(|word| *word != "at")?;
    let time = time_of(&time.to_lowercase())?;
    let zone = match after.split_once('(').and_then(|(_, rest)| rest.split_once(')')) {
        Some((name, _)) => TimeZone::get(name.trim()).ok()?,
        None => TimeZone::system(),
    };
    let now = Timestamp::from_nanosecond(i128::from(now.0)).ok()?.to_zoned(zone.clone());
    let mut date = now.date();
    for _ in 0..2 {
        let moment = date.to_datetime(time).to_zoned(zone.clone()).ok()?;
        if moment > now {
            return u64::try_from(moment.timestamp().as_nanosecond()).ok().map(WallTime);
        }
        date = date.tomorrow().ok()?;
    }
    None
}

/// `3pm`, `9:30am`, `12am`, `15:00`.
fn time_of(text: &str) -> Option<Time> {
    let text = text.trim_matches(|char: char| !char.is_ascii_alphanumeric());
    let (digits, afternoon) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(false)),
        (_, Some(digits)) => (digits, Some(true)),
        _ => (text, None),
    };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match afternoon {
        None if digits.contains(':') => hour,
        None => return None,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
    };
    Time::new(hour, minute, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 05:00:00 UTC, which is 13:00 in Shanghai and 00:00 in Bogota.
    const NOW: WallTime = WallTime(1_795_237_200 * SECOND);

    fn hours(text: &str) -> Option<f64> {
        reset(text, NOW).map(|moment| (moment.0 - NOW.0) as f64 / (3600.0 * SECOND as f64))
    }

    #[test]
    fn texts_as_users_reported_them_name_the_next_such_moment() {
        assert_eq!(
            reset("Claude AI usage limit reached|1795240800", NOW),
            Some(WallTime(1_795_240_800 * SECOND))
        );
        assert_eq!(hours("You've hit your limit · resets 6am (UTC)"), Some(1.0));
        assert_eq!(hours("You've hit your session limit · resets 5:50am (UTC)"), Some(50.0 / 60.0));
        assert_eq!(hours("You've hit your session limit · resets 4pm (UTC)"), Some(11.0));
        assert_eq!(
            hours("Claude usage limit reached. Your limit will reset at 5am (UTC)."),
            Some(24.0)
        );
    }

    #[test]
    fn a_zone_that_the_machine_does_not_know_names_no_moment_and_one_that_it_knows_does() {
        // Machines without a database of zones know none but UTC.
        let expected = TimeZone::get("Asia/Shanghai").ok().map(|_| 1.0);
        assert_eq!(hours("You've hit your limit · resets 2pm (Asia/Shanghai)"), expected);
    }

    #[test]
    fn a_text_that_names_no_moment_gives_none() {
        let shifted = format!("{}reset", "\u{130}".repeat(10));
        for text in [
            shifted.as_str(),
            "\u{212a}\u{212a}reset\u{e4}",
            "limit reached|soon",
            "exit|17",
            "resets (UTC)",
            "resets 25pm (UTC)",
            "resets 3pm (No/Where)",
            "",
        ] {
            assert_eq!(reset(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn only_texts_of_limits_are_limits() {
        assert!(is_reached("5-hour limit reached ∙ resets 2am"));
        assert!(is_reached(
            "API Error: 429 {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}"
        ));
        assert!(!is_reached("the tests failed: 3 of 20"));
    }
}
