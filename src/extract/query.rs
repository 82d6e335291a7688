//! The session in the query.

use std::borrow::Cow;

use super::{Agreement, ExtractSession, InvalidExtractor, percent_decoded};
use crate::{Head, MalformedSession, SessionId};

/// The session id is the value of a query parameter: `?session=<id>`.
///
/// ```
/// let extractor = tower_ownership::Query::named("session")?;
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// Names and values are read as `application/x-www-form-urlencoded`: percent-decoded, and `+` is a
/// space. Only `&` separates parameters, as with browsers and Rust's frameworks; `;` does not. No
/// such parameter is no session; an empty value and a name without `=` are refused. Repeated
/// parameters have to hold the same id. Names are case-sensitive.
///
/// What stands in a URL ends up in logs and in the `Referer` of other requests: prefer a header or
/// a cookie where clients can send one. Browsers can do neither for a WebSocket.
#[derive(Clone, Debug)]
pub struct Query {
    name: Box<str>,
}

impl Query {
    /// The parameter of this name, written without percent-encoding.
    pub fn named(name: &str) -> Result<Self, InvalidExtractor> {
        if name.is_empty() {
            return Err(InvalidExtractor::new(name, "the name of a query parameter"));
        }
        Ok(Self { name: name.into() })
    }
}

impl ExtractSession for Query {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        let query = head.uri.query().unwrap_or_default();
        for pair in query.as_bytes().split(|&byte| byte == b'&') {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default();
            if *form_decoded(name) == *self.name.as_bytes() {
                let value = halves.next().unwrap_or_default();
                agreed.note(SessionId::parse_bytes(&form_decoded(value))?)?;
            }
        }
        Ok(agreed.0)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the query parameter {}", self.name).into()
    }
}

fn form_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decoded(text);
    }
    let spaced: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    Cow::Owned(percent_decoded(&spaced).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{A, B, head, id};
    use super::*;

    fn named(name: &str, query: &str) -> Result<Option<SessionId>, MalformedSession> {
        Query::named(name)
            .unwrap()
            .session(&(&head(&format!("/x?{query}"), &[])).into())
    }

    fn found(query: &str) -> Result<Option<SessionId>, MalformedSession> {
        named("session", query)
    }

    #[test]
    fn the_value_is_the_session() {
        for query in [
            format!("session={A}"),
            format!("a=b&session={A}&c"),
            format!("&&session={A}&"),
            format!("%73ession={A}"),
            format!("session={}", A.replace('-', "%2D")),
            format!("session={A}&x={B}&Session={B}&sessions={B}&session[]={B}"),
        ] {
            assert_eq!(found(&query), Ok(Some(id(A))), "{query}");
        }
        assert_eq!(
            named("my session", &format!("my+session={A}")),
            Ok(Some(id(A)))
        );
        assert_eq!(named("a+b", &format!("a%2Bb={A}")), Ok(Some(id(A))));
        assert_eq!(named("ü", &format!("%C3%BC={A}")), Ok(Some(id(A))));
    }

    #[test]
    fn other_queries_are_no_session() {
        for query in [
            "",
            "a=b",
            "Session=x",
            "sessions=x",
            "=session",
            "a=session",
            "%2573ession=x",
        ] {
            assert_eq!(found(query), Ok(None), "{query}");
        }
        let query = Query::named("session").unwrap();
        assert_eq!(query.session(&(&head("/session=x", &[])).into()), Ok(None));
        assert_eq!(query.session(&(&head("*", &[])).into()), Ok(None));
        assert_eq!(
            query.session(&(&head("example.com:443", &[])).into()),
            Ok(None)
        );
    }

    #[test]
    fn a_value_that_cannot_be_an_id_is_refused() {
        for query in [
            "session",
            "session=",
            "session=%0a",
            &format!("session={A}&session"),
        ] {
            assert_eq!(found(query), Err(MalformedSession::NotAnId), "{query}");
        }
        assert_eq!(found("session=%ff"), Err(MalformedSession::Unreadable));
        assert_eq!(found("session=blue+room"), Ok(Some(id("blue room"))));
    }

    #[test]
    fn repeated_parameters_have_to_agree() {
        let twice = format!("session={A}&session={A}");
        assert_eq!(found(&twice), Ok(Some(id(A))));
        let two = format!("session={A}&%73ession={B}");
        assert_eq!(found(&two), Err(MalformedSession::Ambiguous));
    }

    #[test]
    fn a_parameter_has_a_name() {
        assert!(Query::named("").is_err());
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "[!$-;=?-~]{0,60}") {
            let _ = found(&query);
        }

        #[test]
        fn the_session_is_found_among_others(before in "([a-z%+]{0,3}(=[a-z%+=]{0,8})?&){0,3}", bytes: [u8; 16]) {
            let session = SessionId::new(uuid::Uuid::from_bytes(bytes));
            prop_assert_eq!(found(&format!("{before}session={session}")), Ok(Some(session)));
        }
    }
}
