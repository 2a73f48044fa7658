//! Where whoever follows a run begins.

use std::fmt;

/// What every reader of JSON reads without loss.
const MAX_VERSION: u64 = (1 << 53) - 1;

/// Where in a run somebody begins to follow its signals or keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FollowAfter {
    /// So that nothing is missed.
    #[default]
    Beginning,
    /// With what comes next.
    Now,
    /// After this version of the run's stream.
    Version(u64),
}

impl FollowAfter {
    /// Reads it from a parameter.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn read(text: &str) -> Result<Self, String> {
        match text {
            "beginning" => Ok(Self::Beginning),
            "now" => Ok(Self::Now),
            version => match version.parse() {
                Ok(0) => Ok(Self::Beginning),
                Ok(version) if version <= MAX_VERSION => Ok(Self::Version(version)),
                _ => Err(format!(
                    "`after` is {text:?}; it must be `beginning`, `now` or a version of the run's \
                     stream, up to {MAX_VERSION}"
                )),
            },
        }
    }
}

impl fmt::Display for FollowAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beginning => f.write_str("beginning"),
            Self::Now => f.write_str("now"),
            Self::Version(version) => version.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written_and_nothing_comes_before_the_beginning() {
        for after in [FollowAfter::Beginning, FollowAfter::Now, FollowAfter::Version(7)] {
            assert_eq!(FollowAfter::read(&after.to_string()), Ok(after));
        }
        assert_eq!(FollowAfter::read("0"), Ok(FollowAfter::Beginning));
        for wrong in ["-1", "9007199254740992", "later"] {
            assert!(FollowAfter::read(wrong).is_err(), "{wrong}");
        }
    }
}
