//! The pieces in which bytes arrive never matter, and the limit is the limit.

use proptest::collection::vec;
use proptest::prelude::*;

use super::head::STAND_IN;
use super::{Fault, Framing};
use crate::limits::ClientLimits;

const LIMIT: usize = 200;

const FIELDS: usize = 4;

/// A whole request, which does not count against the limit of the next one.
const SOUND: &str = "GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n";

/// What is passed on of bytes in pieces that end there, and what was wrong.
fn passed(bytes: &[u8], ends: &[usize]) -> (Vec<u8>, Option<Fault>) {
    let limits = ClientLimits { header_bytes: LIMIT, headers: FIELDS, ..ClientLimits::default() };
    let (mut framing, mut passed, mut fault) = (Framing::new(&limits), Vec::new(), None);
    let mut from = 0;
    for end in ends.iter().copied().chain([bytes.len()]) {
        if let Err(found) = framing.take(&bytes[from..end], &mut passed) {
            assert_eq!(fault.replace(found), None, "there is one fault at most");
        }
        from = end;
    }
    framing.end(&mut passed);
    (passed, fault)
}

fn check(text: &str, expected: &str, fault: Option<Fault>) {
    let (passed, found) = passed(text.as_bytes(), &[]);
    assert_eq!((String::from_utf8_lossy(&passed).as_ref(), found), (expected, fault), "{text:?}");
}

fn check_passes(text: &str) {
    check(text, text, None);
}

fn check_refused(text: &str, fault: Fault) {
    let expected = [SOUND.as_bytes(), STAND_IN].concat();
    check(&format!("{SOUND}{text}{SOUND}"), &String::from_utf8_lossy(&expected), Some(fault));
}

/// A head of so many bytes.
fn head_of(bytes: usize) -> String {
    let start = "GET / HTTP/1.1\r\nhost: x\r\nx: ";
    format!("{start}{}\r\n\r\n", "y".repeat(bytes - start.len() - 4))
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
    check_passes(&head_of(LIMIT));
    check_passes(&format!("{SOUND}{}{}", head_of(LIMIT), head_of(LIMIT)));
    check_refused(&head_of(LIMIT + 1), Fault::TooLarge { limit: LIMIT });
    check_refused(&"\r\n".repeat(LIMIT / 2 + 1), Fault::TooLarge { limit: LIMIT });
    check(&format!("\r\n{}", head_of(LIMIT - 2)), &head_of(LIMIT - 2), None);
    check_refused(&format!("\r\n{}", head_of(LIMIT - 1)), Fault::TooLarge { limit: LIMIT });
    let fields =
        |n: usize| format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(n - 1));
    check_passes(&fields(FIELDS));
    check_refused(&fields(FIELDS + 1), Fault::TooManyFields { limit: FIELDS });
}

#[test]
fn a_head_that_does_not_mean_one_thing_is_refused() {
    let of = |fields: &str| format!("POST /v1/runs HTTP/1.1\r\n{fields}\r\n");
    check_refused(&of("a: b\r\n"), Fault::NoHost);
    check_refused(&of("host: x\r\na: b\r\nHOST: x\r\n"), Fault::SeveralHosts);
    check_refused(&of("host: x y\r\n"), Fault::BadHost);
    for fields in [
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    ] {
        check_refused(&of(&format!("host: x\r\n{fields}")), Fault::LengthAndCoding);
    }
    for second in ["2", "3"] {
        let fields = format!("host: x\r\ncontent-length: 2\r\nContent-Length: {second}\r\n");
        check_refused(&of(&fields), Fault::SeveralLengths);
    }
    for length in ["", "+2", "-2", "2, 2", "0x2", "2 2", "9223372036854775808", "\u{664}"] {
        check_refused(&of(&format!("host: x\r\ncontent-length: {length}\r\n")), Fault::BadLength);
    }
    for coding in ["", "gzip", "gzip, chunked", "chunked, chunked", "identity", "\"chunked\""] {
        check_refused(
            &of(&format!("host: x\r\ntransfer-encoding: {coding}\r\n")),
            Fault::BadCoding,
        );
    }
    check_refused(
        "POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
        Fault::BadCoding,
    );
}

#[test]
fn what_is_no_head_is_refused() {
    for text in [
        "\n",
        "GET / HTTP/1.1\nhost: x\n\n",
        "GET / HTTP/1.1\r\nhost: x\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n\n",
        "GET / HTTP/1.1\r\nhost: x\r\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\na: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n host: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nword\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\0\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\nhost: x\r\n\r\n",
        "GET /\r\nhost: x\r\n\r\n",
        "GET / HTTP/1.2\r\nhost: x\r\n\r\n",
        "G(T / HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /<> HTTP/1.1\r\nhost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        let (passed, fault) = passed(text.as_bytes(), &[]);
        assert!(matches!(fault, Some(Fault::Malformed(_))), "{text:?}: {fault:?}");
        assert_eq!(passed, STAND_IN);
    }
}

#[test]
fn bodies_end_where_they_say() {
    let of = |fields: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n{body}{SOUND}")
    };
    check_passes(&of("content-length: 20\r\n", "GET / HTTP/1.1\r\n\r\n\r\n"));
    check_passes(&of("content-length: 0\r\n", ""));
    for body in [
        "0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "2\r\n\r\n\r\n000\r\n\r\n",
        "A \t;name=\"value\"\r\n0\r\n\r\n 5678\r\n0;x\r\na: b\r\nc: d\r\n\r\n",
    ] {
        check_passes(&of("Transfer-Encoding: Chunked\r\n", body));
    }
    for (body, taken) in [
        ("xyz\r\n", ""),
        ("-1\r\n", ""),
        ("1\nx", "1"),
        ("1\r\nxx", "1\r\nx"),
        ("1 1\r\n", "1 "),
        ("1111111111111\r\n", "111111111111"),
        ("0\r\na: b\n\r\n", "0\r\na: b"),
    ] {
        let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let (passed, fault) = passed(format!("{head}{body}{SOUND}").as_bytes(), &[]);
        let passed = String::from_utf8_lossy(&passed).into_owned();
        assert!(
            passed.starts_with(&format!("{head}{taken}")) && !passed.contains("health"),
            "{body:?}: {passed:?}"
        );
        assert_eq!(fault, None);
    }
}

#[test]
fn a_head_that_is_cut_off_is_seen_to_be() {
    check(&format!("{SOUND}GET / HT"), &format!("{SOUND}GET / HT"), None);
}

/// Requests one after the other, some of them spoilt.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        Just(SOUND.to_owned()),
        (60..LIMIT + 3).prop_map(head_of),
        "[a-c\r\n]{0,12}".prop_map(|body| format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )),
        vec("[a-c\r\n]{1,12}", 0..3).prop_map(|parts| {
            let parts: String =
                parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect();
            format!(
                "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{parts}0\r\n\r\n"
            )
        }),
    ];
    let spoils = vec((any::<prop::sample::Index>(), any::<u8>()), 0..2);
    (vec(one, 1..5), spoils).prop_map(|(requests, spoils)| {
        let mut bytes = requests.concat().into_bytes();
        for (index, byte) in spoils {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn the_pieces_in_which_bytes_arrive_do_not_matter(
        bytes in conversation(),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.sort_unstable();
        let at_once = passed(&bytes, &[]);
        prop_assert_eq!(&passed(&bytes, &ends), &at_once);
        let each: Vec<usize> = (1..bytes.len()).collect();
        prop_assert_eq!(&passed(&bytes, &each), &at_once);
    }
}
