//! Where the requests of a connection begin and end.
//!
//! The parser behind this is lenient: its limit on heads bends with the way in which they arrive,
//! and of two lengths of a body it keeps one without a word. So what reaches it has passed here:
//! whole heads that mean one thing, and bodies that end where they say. Whatever is taken here is
//! taken there in the same way; what is not is replaced by one request that stands in for it.

mod chunks;
mod fault;
mod head;

use chunks::Chunks;
pub(crate) use fault::Fault;
pub(crate) use head::is_stand_in;
use head::{BodyLength, STAND_IN, read};

use crate::limits::ClientLimits;

/// Takes the bytes of a connection, in whatever pieces, and gives those that are passed on.
#[derive(Debug)]
pub(crate) struct Framing {
    at: At,
    /// Most bytes in a head, from the end of the request before it.
    head_bytes: usize,
    /// Most fields in a head.
    fields: usize,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum At {
    /// A head, which is kept until it is whole. Empty lines before it are left out, and counted.
    Head {
        kept: Vec<u8>,
        left_out: usize,
    },
    /// A body with as many bytes left.
    Body(u64),
    Chunked(Chunks),
    /// Nothing: what comes is not listened to any more.
    Over,
}

impl At {
    fn new_head() -> Self {
        Self::Head { kept: Vec::new(), left_out: 0 }
    }
}

impl Framing {
    pub(crate) fn new(limits: &ClientLimits) -> Self {
        Self { at: At::new_head(), head_bytes: limits.header_bytes, fields: limits.headers }
    }

    /// Whether anything that comes is still listened to.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.at, At::Over)
    }

    /// Takes the next bytes, and adds to `passed` those that are passed on.
    ///
    /// # Errors
    /// The [`Fault`] of a head, once: the request that stands in for it has been added, and nothing
    /// after it will be.
    pub(crate) fn take(&mut self, mut bytes: &[u8], passed: &mut Vec<u8>) -> Result<(), Fault> {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Over => return Ok(()),
                At::Body(left) => {
                    let here = usize::try_from(*left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    passed.extend_from_slice(&bytes[..here]);
                    bytes = &bytes[here..];
                    *left -= here as u64;
                    if *left == 0 {
                        self.at = At::new_head();
                    }
                }
                At::Chunked(chunks) => {
                    let here = chunks.take(bytes);
                    passed.extend_from_slice(&bytes[..here]);
                    bytes = &bytes[here..];
                    if chunks.is_whole() {
                        self.at = At::new_head();
                    } else if chunks.is_broken() {
                        // What is no chunk is not passed on, so the body ends before its end.
                        self.at = At::Over;
                    }
                }
                At::Head { kept, left_out } => {
                    let byte = bytes[0];
                    bytes = &bytes[1..];
                    let next = take_of_head(byte, kept, left_out, self.head_bytes)
                        .and_then(|whole| whole.then(|| read(kept, self.fields)).transpose());
                    match next {
                        Ok(None) => {}
                        Ok(Some(body)) => {
                            passed.append(kept);
                            self.at = match body {
                                BodyLength::Of(0) => At::new_head(),
                                BodyLength::Of(length) => At::Body(length),
                                BodyLength::Chunked => At::Chunked(Chunks::default()),
                            };
                        }
                        Err(fault) => {
                            passed.extend_from_slice(STAND_IN);
                            self.at = At::Over;
                            return Err(fault);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The other end sends nothing more. Of a head that is not whole, what there is is passed on,
    /// so that it is seen to be cut off.
    pub(crate) fn end(&mut self, passed: &mut Vec<u8>) {
        if let At::Head { kept, .. } = &mut self.at {
            passed.append(kept);
        }
        self.at = At::Over;
    }
}

/// Takes a byte of a head; true if it is the last. A byte that can be in no head is told at once,
/// since whoever speaks something else may never send the end of one.
fn take_of_head(
    byte: u8,
    kept: &mut Vec<u8>,
    left_out: &mut usize,
    limit: usize,
) -> Result<bool, Fault> {
    let after_return = kept.last() == Some(&b'\r');
    match byte {
        b'\n' if !after_return => {
            return Err(Fault::Malformed("each line must end with CR LF, and not with LF alone"));
        }
        b'\n' => {}
        _ if after_return => {
            return Err(Fault::Malformed("there is a CR that no LF follows"));
        }
        b'\r' | b'\t' | b' '..=b'~' | 0x80.. => {}
        _ => return Err(Fault::Malformed("it contains a control character")),
    }
    kept.push(byte);
    if kept == b"\r\n" {
        *left_out += 2;
        kept.clear();
    }
    if kept.len() + *left_out > limit {
        return Err(Fault::TooLarge { limit });
    }
    Ok(kept.ends_with(b"\r\n\r\n"))
}

#[cfg(test)]
mod tests;
