//! The replay cache that `fly.toml` configures: by the value of a cookie or a header.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use super::cache_order::MIN_TTL;

/// The longest value that is remembered, in bytes. An edge's memory is bounded; a session's id is shorter.
const LONGEST: usize = 4_096;

/// A session-based replay cache, as `[[http_service.http_options.replay_cache]]` in `fly.toml`
/// configures it: a replay is remembered for all requests to that host with the same value of a cookie
/// or header.
///
/// Source: fly.io/docs/networking/dynamic-request-routing, "Session-based replay caching".
///
/// ```
/// use tower_ownership::testing::{EdgeSessionCache, FlyEdge};
///
/// let edge = FlyEdge::builder()
///     .session_cache(EdgeSessionCache::by_header("mcp-session-id").path_prefix("/mcp"));
/// ```
#[derive(Clone, Debug)]
pub struct EdgeSessionCache {
    prefix: String,
    pub(super) ttl: Duration,
    place: Place,
    pub(super) allow_bypass: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Cookie(String),
    Header(String),
}

/// What an entry is found by, beside the host.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SessionKey {
    /// Of the rules of the edge.
    pub(super) rule: usize,
    value: Vec<u8>,
}

impl EdgeSessionCache {
    /// By a cookie of this name; for 60 s, on all paths.
    #[must_use]
    pub fn by_cookie(name: impl Into<String>) -> Self {
        Self::at(Place::Cookie(name.into()))
    }

    /// By a request header of this name; for 60 s, on all paths.
    #[must_use]
    pub fn by_header(name: impl Into<String>) -> Self {
        Self::at(Place::Header(name.into()))
    }

    fn at(place: Place) -> Self {
        Self {
            prefix: String::new(),
            ttl: Duration::from_secs(60),
            place,
            allow_bypass: false,
        }
    }

    /// `path_prefix`: only for requests to this path, and below it. Where several fit, the longest counts.
    #[must_use]
    pub fn path_prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix: String = prefix.into();
        prefix.trim_end_matches('/').clone_into(&mut self.prefix);
        self
    }

    /// `ttl_seconds`; at least 10 s, or the edge does not start.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// `allow_bypass`: lets a client pass the cache by, with `fly-replay-cache-control: skip`. Default:
    /// `false`.
    #[must_use]
    pub fn allow_bypass(mut self, allow: bool) -> Self {
        self.allow_bypass = allow;
        self
    }

    /// What is wrong with it.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.ttl < Duration::from_secs(MIN_TTL) {
            let ttl = self.ttl;
            return Err(format!(
                "a replay cache of {ttl:?}: the least is {MIN_TTL} s"
            ));
        }
        match &self.place {
            Place::Header(name) if HeaderName::try_from(name).is_err() => {
                Err(format!("a replay cache by the header {name:?}"))
            }
            _ => Ok(()),
        }
    }

    fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.prefix.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        let value = match &self.place {
            Place::Header(name) => headers.get(name)?.as_bytes(),
            Place::Cookie(name) => headers
                .get_all(header::COOKIE)
                .iter()
                .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
                .find_map(|pair| {
                    let value = pair.trim_ascii().strip_prefix(name.as_bytes())?;
                    value.strip_prefix(b"=")
                })?,
        };
        (!value.is_empty() && value.len() <= LONGEST).then_some(value)
    }
}

/// What a request's entry is found by, if one of the rules covers it.
pub(super) fn key(
    rules: &[EdgeSessionCache],
    path: &str,
    headers: &HeaderMap,
) -> Option<SessionKey> {
    let covering = rules.iter().enumerate();
    let covering = covering.filter(|(_, rule)| rule.covers(path));
    let (rule, longest) = covering.max_by_key(|(_, rule)| rule.prefix.len())?;
    Some(SessionKey {
        rule,
        value: longest.value(headers)?.to_vec(),
    })
}
