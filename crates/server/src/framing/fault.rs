//! What can be wrong with the head of a request.

use crate::api::{Code, Problem};

/// Why a head is refused; the connection ends with the answer, since where the next request would
/// begin is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no head of HTTP/1.1, for this reason.
    Malformed(&'static str),
    TooLarge {
        limit: usize,
    },
    TooManyFields {
        limit: usize,
    },
    NoHost,
    SeveralHosts,
    BadHost,
    SeveralLengths,
    BadLength,
    BadCoding,
    LengthAndCoding,
}

impl Fault {
    pub(crate) fn problem(&self) -> Problem {
        let invalid = |detail: &str| Problem::new(Code::InvalidRequest, detail);
        let too_large = |detail: String| Problem::new(Code::HeadTooLarge, detail);
        match self {
            Self::Malformed(why) => invalid(&format!("this is no request of HTTP/1.1: {why}")),
            Self::TooLarge { limit } => too_large(format!(
                "the head of the request is larger than {limit} bytes, the most that is allowed"
            )),
            Self::TooManyFields { limit } => too_large(format!(
                "the head of the request has more than {limit} fields, the most that is allowed"
            )),
            Self::NoHost => {
                invalid("the request has no `Host`; send one, such as `Host: localhost`")
            }
            Self::SeveralHosts => invalid("the request has more than one `Host`; send one"),
            Self::BadHost => invalid("`Host` is no name of a host; `Host: localhost` will do"),
            Self::SeveralLengths => {
                invalid("the request has more than one `Content-Length`; send one")
            }
            Self::BadLength => invalid("`Content-Length` must be a number of bytes"),
            Self::BadCoding => {
                invalid("`Transfer-Encoding` must be `chunked`, once, in a request of HTTP/1.1")
            }
            Self::LengthAndCoding => invalid(
                "the request has both `Content-Length` and `Transfer-Encoding`; send one of them",
            ),
        }
    }
}
