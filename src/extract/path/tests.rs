use http::Uri;
use proptest::prelude::*;

use super::super::tests::{A, B, head, id};
use super::*;

type Found = Result<Option<SessionId>, MalformedSession>;

fn after(prefix: &str, target: &str) -> Found {
    PathSegment::after(prefix)
        .unwrap()
        .session(&(&head(target, &[])).into())
}

fn found(path: &str) -> Found {
    after("/session", path)
}

#[test]
fn the_segment_after_the_prefix_is_the_session() {
    for path in [
        format!("/session/{A}"),
        format!("/session/{A}/"),
        format!("/session/{A}/files/1?page=2"),
        format!("/session/{A}?x=/session/{B}"),
        format!("http://example.com/session/{A}"),
    ] {
        assert_eq!(found(&path), Ok(Some(id(A))), "{path}");
    }
}

#[test]
fn other_paths_are_no_session() {
    for path in [
        "/",
        "*",
        "/session",
        "/session/",
        "/session?x=1",
        "/about",
        "/session/../about",
        "/session/%2e%2e/about",
        "/.well-known/x",
        "http://example.com",
        "example.com:443",
        &format!("/sessions/{A}"),
        &format!("/Session/{A}"),
        &format!("/x/session/{A}"),
        &format!("/%2573ession/{A}"),
        &format!("/about?x=/session/{A}"),
    ] {
        assert_eq!(found(path), Ok(None), "{path}");
    }
}

#[test]
fn any_segment_in_the_place_of_an_id_is_one() {
    for (path, text) in [
        ("/session/about", "about"),
        ("/session/about/x", "about"),
        ("/session/the%20blue%20room", "the blue room"),
        ("/session/Zo%C3%AB/x", "Zo\u{eb}"),
        ("/session/a+b", "a+b"),
        ("/session/%zz", "%zz"),
        ("/session/%252D", "%2D"),
        ("/session/a;v=1", "a;v=1"),
        ("/session/..%2Fabout", "../about"),
        (&format!("/session/{}", A.to_uppercase()), &A.to_uppercase()),
        (
            &format!("/session/{}", A.replace('-', "")),
            &A.replace('-', ""),
        ),
        (&format!("/session/{A}.json"), &format!("{A}.json")),
        (&format!("/session/{A}a"), &format!("{A}a")),
        (&format!("/session/{}", &A[1..]), &A[1..]),
    ] {
        assert_eq!(found(path), Ok(Some(id(text))), "{path}");
    }
}

#[test]
fn what_cannot_be_an_id_is_refused() {
    let long = format!("/session/{}", "x".repeat(256));
    for path in ["/session/%00", "/session/a%0ab", "/session/%C2%85", &long] {
        assert_eq!(found(path), Err(MalformedSession::NotAnId), "{path}");
    }
    let no_text = found("/session/%ff");
    assert_eq!(no_text, Err(MalformedSession::Unreadable));
}

#[test]
fn every_spelling_of_the_path_is_the_session() {
    for path in [
        format!("//session/{A}"),
        format!("/session//{A}"),
        format!("/./session/./{A}/."),
        format!("/x/../session/{A}"),
        format!("/%73ession/{A}"),
        format!("/session/{}", A.replace('-', "%2D")),
        format!("/x/%2e%2E/session/{A}"),
        format!("/session%2F{A}"),
        format!("/session%2f{A}%2ffiles"),
        format!("/session\\{A}"),
        format!("/session%5C{A}"),
        // Only who decodes first and does not take a backslash for a slash sees these.
        format!("/x%5Cy%2F../session/{A}"),
        // And only who does and does not decode first sees this one.
        format!("/x%2Fy\\..\\session\\{A}"),
        // RFC 3986 says `/x/session/<id>`; who merges slashes first says `/session/<id>`.
        format!("/x//../session/{A}"),
        // Only who resolves the written dots and leaves the encoded ones sees these.
        format!("/session/./{A}/%2e%2e"),
        // And only who resolves the encoded ones as well, afterwards, sees this one.
        format!("/x/./%2e%2e/session/{A}"),
        format!("/x/y/../%2e%2e/session/{A}"),
        format!("/session/%2e%2e/../{A}"),
        format!("/x\\..\\session\\%2e%2e\\..\\{A}"),
        // As it stands it is the session, resolved it is not.
        format!("/session/{A}/.."),
        format!("/session/{A}/../../about"),
        format!("/session/{A}/../{A}"),
        // Below the session everything is the application's.
        format!("/session/{A}/files/a%20b//c/.d"),
    ] {
        assert_eq!(found(&path), Ok(Some(id(A))), "{path}");
    }
}

#[test]
fn two_readings_with_two_sessions_are_ambiguous() {
    for path in [
        format!("/session/{A}/../{B}"),
        format!("/session/{A}/../../session/{B}"),
        format!("/%73ession/{A}/%2e%2e/{B}"),
        format!("//session/{A}/../{B}"),
        format!("/session/{A}//../../{B}"),
        format!("/session/about/../../session/{A}"),
        format!("/session/{A}\\..\\{B}"),
        "/session/a%2Fb".to_owned(),
        "/session/a\\b".to_owned(),
    ] {
        assert_eq!(found(&path), Err(MalformedSession::Ambiguous), "{path}");
    }
}

#[test]
fn a_prefix_can_be_long_or_empty() {
    for prefix in ["/api/v1/session", "api/v1/session", "/api/v1/session/"] {
        let path = format!("/api/v1/session/{A}/x");
        assert_eq!(after(prefix, &path), Ok(Some(id(A))));
        assert_eq!(after(prefix, "/api/v1/session"), Ok(None));
        assert_eq!(after(prefix, &format!("/api/session/{A}")), Ok(None));
    }
    for prefix in ["", "/"] {
        assert_eq!(after(prefix, &format!("/{A}/x")), Ok(Some(id(A))));
        assert_eq!(after(prefix, &format!("//{A}")), Ok(Some(id(A))));
        assert_eq!(after(prefix, "/"), Ok(None));
        assert_eq!(after(prefix, "*"), Ok(None));
        assert_eq!(after(prefix, "/about"), Ok(Some(id("about"))));
    }
}

#[test]
fn a_prefix_that_would_never_match_is_refused() {
    for prefix in [
        "/session/{id}",
        "/session/:id?",
        "/session#",
        "/se ssion",
        "/s%65ssion",
        "/a//b",
        "/a/../b",
        "/.",
        "/sëssion",
        "/a\\b",
    ] {
        assert!(PathSegment::after(prefix).is_err(), "{prefix}");
    }
}

/// When dots are resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Resolves {
    Decoded,
    Written,
    WrittenThenDecoded,
}

/// What RFC 3986 makes of a path, written the slow and obvious way.
fn normalised(path: &str, resolves: Resolves) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let bytes = segment.as_bytes();
        let (mut decoded, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let hex = segment
                .get(at + 1..at + 3)
                .filter(|hex| bytes[at] == b'%' && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            decoded.push(hex.unwrap_or(bytes[at]));
            at += if hex.is_some() { 3 } else { 1 };
        }
        match if resolves == Resolves::Decoded {
            decoded.as_slice()
        } else {
            bytes
        } {
            b"." => {}
            b".." => drop(out.pop()),
            _ => out.push(decoded),
        }
    }
    if resolves != Resolves::WrittenThenDecoded {
        return out;
    }
    let mut again: Vec<Vec<u8>> = Vec::new();
    for segment in out {
        match segment.as_slice() {
            b"." => {}
            b".." => drop(again.pop()),
            _ => again.push(segment),
        }
    }
    again
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("/".to_owned()),
        2 => Just("session".to_owned()),
        2 => Just(A.to_owned()),
        1 => Just(B.to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => prop::sample::select(vec!["%2e", "%2F", "%73ession", "%2D", "%", "\\", "%zz", ";"])
            .prop_map(str::to_owned),
        1 => "[a-z0-9%./-]{1,4}",
    ]
}

proptest! {
    #[test]
    fn no_target_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(uri) = Uri::try_from(bytes) {
            let mut head = head("/", &[]);
            head.uri = uri;
            for prefix in ["/", "/session"] {
                let _ = PathSegment::after(prefix).unwrap().session(&(&head).into());
            }
        }
    }

    #[test]
    fn every_id_is_found_in_every_form(bytes: [u8; 16], encoded in prop::collection::vec(any::<bool>(), 36)) {
        let session = SessionId::new(uuid::Uuid::from_bytes(bytes));
        let text = session.to_string();
        let some_encoded: String = text.chars().zip(encoded)
            .map(|(c, encode)| if encode { format!("%{:02x}", u32::from(c)) } else { c.to_string() })
            .collect();
        for form in [text, some_encoded] {
            prop_assert_eq!(found(&format!("/session/{form}")), Ok(Some(session.clone())));
            prop_assert_eq!(found(&format!("/session/{form}/x")), Ok(Some(session.clone())));
            prop_assert_eq!(found(&format!("/x/..//session/{form}/x")), Ok(Some(session.clone())));
        }
    }

    #[test]
    fn a_session_of_the_normalised_path_is_never_absent(
        pieces in prop::collection::vec(piece(), 0..12),
        resolves in prop::sample::select(vec![Resolves::Decoded, Resolves::Written, Resolves::WrittenThenDecoded]),
    ) {
        let path = format!("/{}", pieces.concat());
        if let Ok(uri) = path.parse::<Uri>() {
            let expected = match normalised(uri.path(), resolves).as_slice() {
                [prefix, id, ..] if prefix == b"session" => SessionId::parse_bytes(id).ok(),
                _ => None,
            };
            if let (Some(expected), Ok(read)) = (expected, found(&path)) {
                prop_assert_eq!(read, Some(expected), "{}", path);
            }
        }
    }

    #[test]
    fn the_short_way_and_the_long_way_agree(pieces in prop::collection::vec(piece(), 0..8)) {
        let path = format!("/{}", pieces.concat());
        if reads_alike(path.as_bytes()) {
            for prefix in ["/", "/session", "/session/a"] {
                let extractor = PathSegment::after(prefix).unwrap();
                prop_assert_eq!(extractor.in_path(&path), extractor.in_any_reading(&path));
            }
        }
    }
}
