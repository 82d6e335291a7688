//! Several places for the session.

use std::{borrow::Cow, fmt, sync::Arc};

use http::{HeaderValue, request::Parts};

use super::ExtractSession;
use crate::{Head, MalformedSession, SessionId};

/// The session id stands in one of several places, and the first place that has one decides.
///
/// ```
/// use tower_ownership::{Cookie, PathSegment, extract::FirstOf};
///
/// let extractor = FirstOf::new(PathSegment::after("/session")?).or(Cookie::named("session")?);
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// A place without a session leaves it to the next one; a malformed one makes the request
/// malformed, because to go on would be to guess. A place that can
/// [forget](ExtractSession::forget) what it read, as a [`Cookie`](crate::Cookie) does, leaves it to
/// the next one if its session is unknown or over.
///
/// **The places need not agree**, unlike two ids in one place: a browser with two sessions open
/// asks for `/session/<one>` with a cookie that still says `<the other>`, and means the one. So put
/// what is most explicit first, and read the session in handlers from [`Owned`](crate::Owned), not
/// from the place where it stood: a handler that reads the cookie would serve a session that the
/// layer has not examined.
#[derive(Clone)]
pub struct FirstOf {
    places: Vec<Arc<dyn ExtractSession>>,
}

impl FirstOf {
    /// This place first.
    #[must_use]
    pub fn new(first: impl ExtractSession) -> Self {
        Self {
            places: vec![Arc::new(first)],
        }
    }

    /// And this one if there is no session in those before it.
    #[must_use]
    pub fn or(mut self, next: impl ExtractSession) -> Self {
        self.places.push(Arc::new(next));
        self
    }

    /// The place that decides about this request.
    fn place(&self, head: &Head<'_>) -> Option<&Arc<dyn ExtractSession>> {
        let found = |place: &&Arc<dyn ExtractSession>| !matches!(place.session(head), Ok(None));
        self.places.iter().find(found)
    }
}

impl ExtractSession for FirstOf {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        self.places
            .iter()
            .find_map(|place| place.session(head).transpose())
            .transpose()
    }

    fn describe(&self) -> Cow<'_, str> {
        let places: Vec<_> = self.places.iter().map(|place| place.describe()).collect();
        places.join(", or else ").into()
    }

    fn candidates(&self, head: &Head<'_>) -> Vec<SessionId> {
        let place = self.place(head);
        place.map_or_else(Vec::new, |place| place.candidates(head))
    }

    fn forget(&self, head: &mut Parts, id: Option<&SessionId>) -> bool {
        let place = self.place(&Head::from(&*head));
        place.is_some_and(|place| place.forget(head, id))
    }

    fn expiry(&self, head: &Head<'_>) -> &[HeaderValue] {
        // Asked of every request that is served, so no place is read unless one has an answer.
        if self
            .places
            .iter()
            .all(|place| place.expiry(head).is_empty())
        {
            return &[];
        }
        self.place(head).map_or(&[], |place| place.expiry(head))
    }
}

impl fmt::Debug for FirstOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FirstOf({} places)", self.places.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, head, id};
    use super::super::{Cookie, Header, PathSegment};
    use super::*;

    fn extractor() -> FirstOf {
        FirstOf::new(PathSegment::after("/session").unwrap())
            .or(Cookie::named("session").unwrap())
            .or(|head: &Head<'_>| Header::mcp_session_id().session(head))
    }

    #[test]
    fn the_first_place_with_a_session_decides() {
        let cookie = format!("session={B}");
        let cookie = ("cookie", cookie.as_bytes());
        let header = ("mcp-session-id", A.as_bytes());
        let path = format!("/session/{A}");
        for (target, headers, expected) in [
            ("/", vec![], None),
            ("/", vec![header], Some(id(A))),
            ("/", vec![header, cookie], Some(id(B))),
            (path.as_str(), vec![cookie], Some(id(A))),
        ] {
            assert_eq!(
                extractor().session(&(&head(target, &headers)).into()),
                Ok(expected)
            );
        }
    }

    #[test]
    fn a_malformed_place_is_not_skipped() {
        let header = ("mcp-session-id", A.as_bytes());
        for (target, headers) in [
            ("/session/%00", vec![header]),
            ("/", vec![header, ("cookie", &b"session="[..])]),
        ] {
            assert_eq!(
                extractor().session(&(&head(target, &headers)).into()),
                Err(MalformedSession::NotAnId)
            );
        }
    }

    #[test]
    fn it_nests_and_is_shared() {
        let nested = FirstOf::new(Arc::new(extractor())).or(extractor());
        assert_eq!(nested.session(&(&head("/", &[])).into()), Ok(None));
        assert_eq!(format!("{nested:?}"), "FirstOf(2 places)");
    }
}
