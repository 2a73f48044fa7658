//! What a whole head says of its request's end, read strictly.

use axum::http::Uri;
use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::uri::Authority;

use super::Fault;

/// Passed on in place of a head that is refused. No head without a host passes otherwise.
pub(super) const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n";

/// Whether a request stands in for one that was refused.
pub(crate) fn is_stand_in(request: &Parts) -> bool {
    !request.headers.contains_key(HOST)
}

/// Where the body of a request ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// After as many bytes.
    Of(u64),
    /// Where its chunks say so.
    Chunked,
}

/// Reads a head that ends with an empty line, and whose lines all end with CR LF.
pub(super) fn read(head: &[u8], max_fields: usize) -> Result<BodyLength, Fault> {
    let head = head.strip_suffix(b"\r\n\r\n").unwrap_or(head);
    let mut lines =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_1_1 = request_line(lines.next().unwrap_or_default())?;
    let (mut host, mut length, mut coding) = (None, None, None);
    for (number, line) in lines.enumerate() {
        if number == max_fields {
            return Err(Fault::TooManyFields { limit: max_fields });
        }
        let (name, value) = field(line)?;
        let (place, again) = match name {
            name if name.eq_ignore_ascii_case(HOST.as_str().as_bytes()) => {
                (&mut host, Fault::SeveralHosts)
            }
            name if name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str().as_bytes()) => {
                (&mut length, Fault::SeveralLengths)
            }
            name if name.eq_ignore_ascii_case(TRANSFER_ENCODING.as_str().as_bytes()) => {
                (&mut coding, Fault::BadCoding)
            }
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(again);
        }
    }
    match host {
        None => return Err(Fault::NoHost),
        Some(host) if host.is_empty() || Authority::try_from(host).is_ok() => {}
        Some(_) => return Err(Fault::BadHost),
    }
    match (length, coding) {
        (None, None) => Ok(BodyLength::Of(0)),
        (Some(_), Some(_)) => Err(Fault::LengthAndCoding),
        (Some(digits), None) => decimal(digits).map(BodyLength::Of).ok_or(Fault::BadLength),
        (None, Some(coding)) if is_1_1 && coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(BodyLength::Chunked)
        }
        (None, Some(_)) => Err(Fault::BadCoding),
    }
}

/// Whether the request is of HTTP/1.1, and not of HTTP/1.0.
fn request_line(line: &[u8]) -> Result<bool, Fault> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::Malformed("its first line must be a method, a target and HTTP/1.1"));
    };
    if !is_token(method) {
        return Err(Fault::Malformed("its method is no word"));
    }
    if Uri::try_from(target).is_err() {
        return Err(Fault::Malformed("its target is no URI"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err(Fault::Malformed("it is of another protocol or version")),
    }
}

fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(Fault::Malformed(
            "a line begins with a space; write the value of a field on one line",
        ));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    match colon.map(|colon| (&line[..colon], &line[colon + 1..])) {
        Some((name, value)) if is_token(name) => Ok((name, value.trim_ascii())),
        _ => Err(Fault::Malformed("one of its lines is no field, which is `name: value`")),
    }
}

/// A token as RFC 9110 has it.
fn is_token(word: &[u8]) -> bool {
    !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    // A sign is no digit, though Rust would take it.
    let number: i64 =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?.parse().ok()?;
    u64::try_from(number).ok()
}
