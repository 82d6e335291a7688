//! The session in a cookie.

use std::borrow::Cow;

use http::{HeaderValue, header, request::Parts};

use super::{Agreement, ExtractSession, InvalidExtractor, MAX_CANDIDATES, percent_decoded};
use crate::{Head, MalformedSession, SessionId};

mod expiry;
mod lines;
#[cfg(test)]
mod tests;

pub(super) use lines::halves;

/// The session id is the value of a cookie.
///
/// ```
/// let extractor = tower_ownership::Cookie::named("session")?;
/// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
/// ```
///
/// The value may be percent-encoded and may stand in double quotes. Cookie names are case-sensitive.
/// A percent-encoded name counts too, because some cookie jars decode names. What other cookies hold
/// does not matter.
///
/// # Dead cookies
/// A browser sends a cookie with every request, also after its session ended. A layer that refused
/// these requests would lock the user out of every page, the login included. So by default a dead
/// cookie does not refuse its request: the layer takes it out of the request, and goes on as if it
/// had not been sent.
///
/// | the cookie | the request | what the application sees |
/// | --- | --- | --- |
/// | of a living session | is served by the owner | the request as it was sent |
/// | of a session that is unknown or over | passes as one without a session | no such cookie |
/// | cannot be an id: empty, of the wrong kind, control characters, no text | passes as one without a session | no such cookie |
/// | several of the name, the same session | as one | the request as it was sent |
/// | several, one session lives | is served by the owner of that one | only that one |
/// | several, none lives | passes as one without a session | none of them |
/// | several, two sessions live, or more than [four](crate::extract::MAX_CANDIDATES) | is refused with 400 `session-malformed` | nothing |
/// | the directory does not answer | is refused with 503 `lookup-unavailable` | nothing |
///
/// - "Passes" means that the next place of a [`FirstOf`](crate::extract::FirstOf) is asked. With
///   [`requires_session`](crate::OwnershipLayerBuilder::requires_session), and where a handler of axum
///   takes [`Owned`](crate::Owned), a request without any session is refused with the code of the dead cookie:
///   `session-unknown`, `session-over`, or `session-malformed` for what is no text.
/// - All cookies of the name and the value are taken out, in every `Cookie` line. Other cookies stay
///   as they are, byte for byte.
/// - An application that finds no session may not tell whether there was a cookie. The log says it at
///   DEBUG (target `tower_ownership::extract`), and so does
///   [`explain`](crate::OwnershipLayer::explain). Verdicts and metrics count the request once, by what
///   became of it.
/// - Several cookies of one name come from different paths or domains (RFC 6265, section 5.4); they
///   are looked up at once, within one
///   [lookup timeout](crate::OwnershipLayerBuilder::lookup_timeout). Requests with one cookie of the name
///   pay nothing for this.
/// - Another host of the same site can set a cookie for the whole domain, and one of a session that
///   lives counts if the user's own is dead. No other host can set one whose name begins with
///   `__Host-`.
/// - [`refuse_dead`](Self::refuse_dead) refuses all of these requests instead, and
///   [`expires`](Self::expires) has refusals expire the cookie.
#[derive(Clone, Debug)]
pub struct Cookie {
    name: Box<str>,
    refuses_dead: bool,
    /// `Set-Cookie` of refusals.
    expiry: Vec<HeaderValue>,
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
        Ok(Self {
            name: name.into(),
            refuses_dead: false,
            expiry: Vec::new(),
        })
    }

    /// Refuses every request with a dead cookie, instead of taking the cookie out of it: one whose
    /// session is unknown with 404 `session-unknown`, one whose session is over with 410
    /// `session-over`, and two different cookies of the name with 400 `session-malformed`.
    ///
    /// For a layer around routes that are all about the session, and an application that logs in
    /// elsewhere.
    #[must_use]
    pub fn refuse_dead(mut self) -> Self {
        self.refuses_dead = true;
        self
    }

    fn is_named(&self, name: &[u8]) -> bool {
        *percent_decoded(name) == *self.name.as_bytes()
    }

    /// The id that a response gives out in `name=value`, unless the value is empty.
    pub(super) fn given_out(&self, cookie: &[u8]) -> Result<Option<SessionId>, MalformedSession> {
        match halves(cookie) {
            Some((name, value)) if self.is_named(name) && !matches!(value, b"" | b"\"\"") => {
                id_of(value).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl ExtractSession for Cookie {
    fn session(&self, head: &Head<'_>) -> Result<Option<SessionId>, MalformedSession> {
        let mut agreed = Agreement::default();
        // Every request comes by here, and loops are faster than a flattened iterator.
        for line in head.headers.get_all(header::COOKIE) {
            for cookie in line.as_bytes().split(|&byte| byte == b';') {
                let Some((name, value)) = halves(cookie) else {
                    continue;
                };
                if self.is_named(name) {
                    agreed.note(id_of(value)?)?;
                }
            }
        }
        Ok(agreed.0)
    }

    fn describe(&self) -> Cow<'_, str> {
        format!("the cookie {}", self.name).into()
    }

    fn candidates(&self, head: &Head<'_>) -> Vec<SessionId> {
        let mut found = Vec::new();
        if self.refuses_dead {
            return found;
        }
        for (name, value) in lines::cookies(head.headers) {
            if let (true, Ok(id)) = (self.is_named(name), id_of(value))
                && !found.contains(&id)
            {
                found.push(id);
            }
            // A header may hold thousands, and one more than may be is enough to know.
            if found.len() > MAX_CANDIDATES {
                break;
            }
        }
        found
    }

    fn forget(&self, head: &mut Parts, id: Option<&SessionId>) -> bool {
        let is_out =
            |name: &[u8], value: &[u8]| self.is_named(name) && id_of(value).ok().as_ref() == id;
        !self.refuses_dead && lines::take_out(&mut head.headers, is_out)
    }

    fn expiry(&self, head: &Head<'_>) -> &[HeaderValue] {
        let named = || lines::cookies(head.headers).any(|(name, _)| self.is_named(name));
        if self.expiry.is_empty() || !named() {
            return &[];
        }
        &self.expiry
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
