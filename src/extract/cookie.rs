//! The session in a cookie.

use std::borrow::Cow;

use http::{header, request::Parts};

use super::{Agreement, ExtractSession, InvalidExtractor, percent_decoded};
use crate::{MalformedSession, SessionId};

/// The session id is the value of a cookie.
///
/// ```
/// let extractor = tower_ownership::Cookie::named("session")?;
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// The value may be percent-encoded and may stand in double quotes. A cookie without an id in it
/// is malformed, an empty one included: to log out is to remove the cookie. Several cookies of the
/// name, as browsers send them for different paths and HTTP/2 in several lines, have to hold the
/// same id. What other cookies hold does not matter.
///
/// Cookie names are case-sensitive. A percent-encoded name counts too, because some cookie jars
/// decode names.
#[derive(Clone, Debug)]
pub struct Cookie {
    name: Box<str>,
}

impl Cookie {
    /// The cookie of exactly this name, including a `__Host-` or `__Secure-` in front.
    pub fn named(name: &str) -> Result<Self, InvalidExtractor> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(InvalidExtractor::new(
                name,
                "the name of a cookie: letters, digits and `!#$&'*+-.^_`|~`",
            ));
        }
        Ok(Self { name: name.into() })
    }

    /// The value in `name=value`, if that is the name.
    fn value<'a>(&self, cookie: &'a [u8]) -> Option<&'a [u8]> {
        // A cookie without `=` has no name, says RFC 6265bis.
        let at = cookie.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (cookie.get(..at)?, cookie.get(at + 1..)?);
        let is_named = *percent_decoded(name.trim_ascii()) == *self.name.as_bytes();
        is_named.then(|| value.trim_ascii())
    }

    /// The id that a response gives out in `name=value`, unless the value is empty.
    pub(super) fn given_out(&self, cookie: &[u8]) -> Result<Option<SessionId>, MalformedSession> {
        match self.value(cookie) {
            None | Some(b"" | b"\"\"") => Ok(None),
            Some(value) => id_of(value).map(Some),
        }
    }
}

impl ExtractSession for Cookie {
    fn session(&self, head: &Parts) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        for line in head.headers.get_all(header::COOKIE) {
            for cookie in line.as_bytes().split(|&byte| byte == b';') {
                if let Some(value) = self.value(cookie) {
                    agreed.note(id_of(value)?)?;
                }
            }
        }
        Ok(agreed.0)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the cookie {}", self.name).into()
    }
}

fn id_of(value: &[u8]) -> Result<SessionId, MalformedSession> {
    let value = percent_decoded(value);
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(&value);
    SessionId::parse_bytes(unquoted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{A, B, head, id};
    use super::*;

    fn found(lines: &[&[u8]]) -> Result<Option<SessionId>, MalformedSession> {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        Cookie::named("session")
            .unwrap()
            .session(&head("/", &lines))
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
            if http::HeaderValue::from_bytes(&line).is_ok() {
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
}
