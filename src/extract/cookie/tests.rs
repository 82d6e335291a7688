//! Which cookie is the session, and which cookies are taken out.

use proptest::prelude::*;

use crate::Head;

use super::super::tests::{A, B, head, id};
use super::*;

fn found(lines: &[&[u8]]) -> Result<Option<SessionId>, MalformedSession> {
    let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
    Cookie::named("session")
        .unwrap()
        .session(&(&head("/", &lines)).into())
}

#[test]
fn the_value_is_the_session() {
    for line in [
        format!("session={A}"),
        format!("a=b; session={A}; c=d"),
        format!("a=b;session={A};c=d"),
        format!("session = {A} "),
        format!("session=\"{A}\""),
        format!("session=%22{A}%22"),
        format!("session={}", A.replace('-', "%2d")),
        format!("%73ession={A}"),
        format!("Session={B}; session={A}; xsession={B}; session2={B}"),
    ] {
        assert_eq!(found(&[line.as_bytes()]), Ok(Some(id(A))), "{line}");
    }
}

#[test]
fn other_cookies_are_no_session() {
    for line in [
        "",
        ";",
        "a=b",
        "session",
        "Session=x",
        "xsession=x",
        "=session",
        "a=session=x",
    ] {
        assert_eq!(found(&[line.as_bytes()]), Ok(None), "{line}");
    }
    assert_eq!(found(&[]), Ok(None));
}

#[test]
fn garbage_in_other_cookies_does_not_matter() {
    let line = [
        b"a=\xff\xfe\"; =; \xff; %zz; session=",
        A.as_bytes(),
        b"; \xffsession=x",
    ];
    assert_eq!(found(&[&line.concat()]), Ok(Some(id(A))));
}

#[test]
fn a_value_that_cannot_be_an_id_is_refused() {
    for line in ["session=", "session=\"\"", "session=%00", "session=.."] {
        let found = found(&[line.as_bytes()]);
        assert_eq!(found, Err(MalformedSession::NotAnId), "{line}");
    }
    let no_text = found(&[b"session=\xff"]);
    assert_eq!(no_text, Err(MalformedSession::Unreadable));
    let odd = format!("session=\"{A}");
    let quoted = format!("\"{A}");
    assert_eq!(found(&[odd.as_bytes()]), Ok(Some(id(&quoted))));
}

#[test]
fn several_cookies_have_to_agree() {
    let (a, b) = (format!("session={A}"), format!("session={B}"));
    let twice = format!("{a}; x=y; session=\"{A}\"");
    assert_eq!(found(&[twice.as_bytes(), a.as_bytes()]), Ok(Some(id(A))));
    let ambiguous = Err(MalformedSession::Ambiguous);
    assert_eq!(found(&[a.as_bytes(), b.as_bytes()]), ambiguous);
    assert_eq!(found(&[format!("{a}; {b}").as_bytes()]), ambiguous);
    assert!(found(&[format!("{a}; session=").as_bytes()]).is_err());
}

#[test]
fn a_name_that_no_cookie_has_is_refused() {
    for name in ["", "a b", "a=b", "a;b", "sëssion", "a%62", "\"a\""] {
        assert!(Cookie::named(name).is_err(), "{name:?}");
    }
    assert!(Cookie::named("__Host-session").is_ok());
}

proptest! {
    #[test]
    fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..80)) {
        if HeaderValue::from_bytes(&line).is_ok() {
            let _ = found(&[&line]);
        }
    }

    #[test]
    fn the_session_is_found_among_others(before in "([a-z]{0,3}=[^;\u{0}-\u{1f}\u{7f}]{0,8};){0,3}", bytes: [u8; 16]) {
        let session = SessionId::new(uuid::Uuid::from_bytes(bytes));
        let line = format!("{before} session={session}");
        prop_assert_eq!(found(&[line.as_bytes()]), Ok(Some(session)));
    }
}

fn sid() -> Cookie {
    Cookie::named("session").unwrap()
}

fn heads(lines: &[&[u8]]) -> Parts {
    let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
    head("/", &lines)
}

/// What is left after `forget`, line by line.
fn left(lines: &[&str], id: Option<&SessionId>) -> (bool, Vec<String>) {
    let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
    let mut head = heads(&lines);
    let taken_out = sid().forget(&mut head, id);
    let lines = head.headers.get_all("cookie").into_iter();
    let left = lines.map(|line| line.to_str().unwrap().to_owned());
    (taken_out, left.collect())
}

#[test]
fn a_session_is_taken_out_in_each_spelling_and_line() {
    let spelled = format!("a=b;session={A}; %73ession=%22{A}%22; session=\"{A}\" ;c=d");
    let encoded = format!("session={}", A.replace('-', "%2d"));
    let taken = left(&[&spelled, &encoded, "e=f"], Some(&id(A)));
    assert_eq!(taken, (true, vec!["a=b;c=d".to_owned(), "e=f".to_owned()]));
}

#[test]
fn another_session_stays_when_one_is_taken_out() {
    let twins = format!("session={A}; session={B}; session=");
    let (taken, lines) = left(&[&twins], Some(&id(A)));
    assert_eq!(
        (taken, lines),
        (true, vec![format!("session={B}; session=")])
    );
    let (taken, lines) = left(&[&twins], None);
    assert_eq!(
        (taken, lines),
        (true, vec![format!("session={A}; session={B}")])
    );
    let one = format!("session={B}");
    assert_eq!(left(&[&one], Some(&id(A))), (false, vec![one.clone()]));
    assert_eq!(left(&[&one], None), (false, vec![one.clone()]));
}

#[test]
fn candidates_are_different_and_few() {
    let twins = format!("session={A}; session=; session=\"{A}\"; session={B}");
    let twins = sid().candidates(&(&heads(&[twins.as_bytes()])).into());
    assert_eq!(twins, [id(A), id(B)]);
    let many: Vec<_> = (0..1_000).map(|n| format!("session={n}")).collect();
    let many = sid().candidates(&(&heads(&[many.join(";").as_bytes()])).into());
    assert_eq!(many.len(), MAX_CANDIDATES + 1);
}

#[test]
fn a_cookie_that_refuses_takes_nothing_out() {
    let refuses = sid().refuse_dead();
    let line = format!("session={A}; session={B}; session=");
    let mut head = heads(&[line.as_bytes()]);
    assert!(!refuses.forget(&mut head, Some(&id(A))));
    assert!(!refuses.forget(&mut head, None));
    assert!(refuses.candidates(&(&head).into()).is_empty());
    assert_eq!(head.headers["cookie"], line);
}

/// Whether an application reads this session in these lines, in the way of another parser.
fn is_readable(head: &Head<'_>, session: &SessionId) -> bool {
    let lines = head.headers.get_all("cookie").into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|cookie| {
            let equals = cookie.iter().position(|byte| *byte == b'=')?;
            let (name, value) = cookie.split_at(equals);
            let name = name.trim_ascii();
            let is_named = name == b"session" || *percent_decoded(name) == *b"session";
            is_named.then(|| value[1..].trim_ascii())
        })
        .any(|value| {
            let session = session.to_string();
            // Decoded once at most: what is encoded twice is another id.
            let once = percent_decoded(value);
            [value, &once]
                .into_iter()
                .flat_map(|value| {
                    let unquoted = value.strip_prefix(b"\"");
                    [
                        Some(value),
                        unquoted.and_then(|rest| rest.strip_suffix(b"\"")),
                    ]
                })
                .flatten()
                .any(|value| value == session.as_bytes())
        })
}

/// Bytes of cookies that are about sessions more often than any bytes are.
fn cookie_bytes() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"session".to_vec()),
        Just(b"%73ession".to_vec()),
        Just(b"sess".to_vec()),
        Just(b"%".to_vec()),
        Just(b"22".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"=".to_vec()),
        Just(b"=".to_vec()),
        Just(b";".to_vec()),
        Just(b"; ".to_vec()),
        Just(b",".to_vec()),
        Just(b"\t".to_vec()),
        Just(b"a".to_vec()),
        Just(b"%61".to_vec()),
        Just(A.as_bytes().to_vec()),
        Just(B.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_session_can_be_read_after_it_was_taken_out(
        lines in prop::collection::vec(cookie_bytes(), 1..4),
        whole in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let lines: Vec<&[u8]> = lines.iter().chain([&whole]).map(Vec::as_slice)
            .filter(|line| HeaderValue::from_bytes(line).is_ok())
            .collect();
        let mut head = heads(&lines);
        let cookie = sid();
        let others = |head: &Head<'_>| {
            let cookies = lines::cookies(head.headers).filter(|(name, _)| !cookie.is_named(name));
            cookies.map(|(name, value)| (name.to_vec(), value.to_vec())).collect::<Vec<_>>()
        };
        let before = others(&(&head).into());
        // As the layer does where no session lives.
        let mut gone = Vec::new();
        let mut rounds = 0;
        while let Some(found) = cookie.session(&(&head).into()).transpose() {
            let out = match found {
                Ok(id) => vec![Some(id)],
                Err(MalformedSession::Ambiguous) => {
                    cookie.candidates(&(&head).into()).into_iter().map(Some).collect()
                }
                Err(_) => vec![None],
            };
            for id in out {
                prop_assert!(cookie.forget(&mut head, id.as_ref()));
                prop_assert!(!cookie.forget(&mut head, id.as_ref()));
                gone.extend(id);
            }
            for id in &gone {
                prop_assert!(!is_readable(&(&head).into(), id), "{id} in {head:?}");
                prop_assert_ne!(cookie.session(&(&head).into()), Ok(Some(id.clone())));
            }
            rounds += 1;
            prop_assert!(rounds < 30);
        }
        prop_assert_eq!(others(&(&head).into()), before);
        let named = lines::cookies(&head.headers).any(|(name, _)| cookie.is_named(name));
        prop_assert!(!named, "{:?}", head);
    }
}
