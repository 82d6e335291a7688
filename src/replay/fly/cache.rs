//! Fly's replay cache: the proxy remembers a replay and stops asking.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, Uri};

use crate::{InvalidReplay, SessionId};

/// The shortest lifetime that Fly's reference allows.
const SHORTEST: Duration = Duration::from_secs(10);

/// How many sessions are remembered for their last invalidation: enough for every session that
/// moves within one lifetime, and a megabyte at the most when clients make them up.
const REMEMBERED: usize = 16_384;

/// Lets Fly Proxy remember where a session's requests go: by path, or, as `fly.toml` configures it, by a
/// cookie or a header.
///
/// The owner is then reached without asking any other machine first. What is lost: Fly allows no
/// `state`, `timeout` or `fallback` beside it, so hops are no longer counted by us (Fly stops
/// after ten) and an owner that cannot be reached is reported by Fly's bare 502 and not by
/// `owner-unreachable`.
///
/// Source: fly.io/docs/networking/dynamic-request-routing, "Replay caching".
#[derive(Clone)]
pub struct ReplayCache {
    by: By,
    lifetime: Duration,
    invalidated: Arc<Mutex<HashMap<SessionId, Instant>>>,
}

#[derive(Clone, Debug)]
enum By {
    /// The path before the session id.
    Path(Arc<str>),
    /// What `fly.toml` names.
    Session,
}

impl ReplayCache {
    /// The proxy remembers by a cookie or header that `fly.toml` names, for sessions that no path names,
    /// such as MCP's:
    ///
    /// ```toml
    /// [[http_service.http_options.replay_cache]]
    ///   path_prefix = "/mcp"
    ///   ttl_seconds = 60
    ///   type = "header"            # or cookie
    ///   name = "mcp-session-id"
    /// ```
    ///
    /// Answers then have the form that such a cache takes (no `state`, `timeout` or `fallback`), and a machine
    /// that the cache leads to although it is not the owner any more has it forget that. The
    /// [lifetime](Self::lifetime) is that of `ttl_seconds`. Without that table in `fly.toml` nothing is
    /// remembered, and what is lost is lost all the same.
    #[must_use]
    pub fn by_session() -> Self {
        Self::by(By::Session)
    }

    /// Remembers `<prefix>/<session id>` and all below it, for 60 seconds.
    ///
    /// `prefix` is the path before the session id, such as `/session`, as the proxy knows it. A
    /// layer inside of a router's `nest` sees less of the path: there nothing is remembered, or,
    /// with the prefix that is left, the proxy refuses the replay because its path is another one.
    /// Put the layer outside.
    #[must_use]
    pub fn under(prefix: &str) -> Self {
        Self::by(By::Path(prefix.trim_end_matches('/').into()))
    }

    fn by(by: By) -> Self {
        Self {
            by,
            lifetime: Duration::from_secs(60),
            invalidated: Arc::default(),
        }
    }

    /// How long the proxy may remember; at least ten seconds, in whole seconds.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    pub(super) fn validate(&self) -> Result<(), InvalidReplay> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._~-".contains(&byte);
        let begins_well = |prefix: &str| prefix.is_empty() || prefix.starts_with('/');
        if let By::Path(prefix) = &self.by
            && !(begins_well(prefix) && prefix.bytes().all(plain))
        {
            return Err(InvalidReplay::CachePrefix {
                prefix: prefix.to_string(),
            });
        }
        if self.lifetime < SHORTEST {
            return Err(InvalidReplay::CacheLifetime {
                lifetime: self.lifetime,
            });
        }
        Ok(())
    }

    /// Asks the proxy to remember this replay, if the request's path is the one it would remember.
    ///
    /// The pattern is written from the parsed id and never from the path, which a client wrote; a
    /// path that spells the id differently is replayed without being remembered. So is an id that
    /// a path has to encode: a `*` in it would make the pattern one of other sessions.
    pub(super) fn remember(&self, uri: &Uri, session: &SessionId, headers: &mut HeaderMap) {
        let By::Path(prefix) = &self.by else {
            return;
        };
        let id = session.encoded();
        if id.contains('%') {
            return;
        }
        let mut pattern = format!("{prefix}/{id}");
        let rest = uri.path().strip_prefix(pattern.as_str());
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return;
        }
        pattern.push_str("/*");
        if let Ok(pattern) = HeaderValue::try_from(pattern) {
            headers.insert("fly-replay-cache", pattern);
            headers.insert("fly-replay-cache-ttl-secs", self.lifetime.as_secs().into());
        }
    }

    /// Asks the proxy to forget what it remembers of this session, at most once per lifetime:
    /// the header that makes us do so can be forged.
    pub(super) fn forget(&self, session: &SessionId, headers: &mut HeaderMap) {
        if self.may_invalidate(session, Instant::now()) {
            headers.insert("fly-replay-cache", HeaderValue::from_static("invalidate"));
        }
    }

    /// Writes what [`forget`](Self::forget) would, and does not count it.
    pub(super) fn would_forget(&self, session: &SessionId, headers: &mut HeaderMap) {
        let invalidated = self.lock();
        let recent = |at: &Instant| at.elapsed() < self.lifetime;
        if !invalidated.get(session).is_some_and(recent) && invalidated.len() < REMEMBERED {
            headers.insert("fly-replay-cache", HeaderValue::from_static("invalidate"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Instant>> {
        self.invalidated
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn may_invalidate(&self, session: &SessionId, now: Instant) -> bool {
        let mut invalidated = self.lock();
        let recent = |at: &Instant| now.saturating_duration_since(*at) < self.lifetime;
        if invalidated.get(session).is_some_and(recent) {
            return false;
        }
        if invalidated.len() >= REMEMBERED {
            invalidated.retain(|_, at| recent(at));
        }
        // Full of recent ones: a client makes up sessions. The proxy's own lifetime heals the rest.
        if invalidated.len() >= REMEMBERED {
            return false;
        }
        invalidated.insert(session.clone(), now);
        true
    }
}

impl fmt::Debug for ReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayCache")
            .field("by", &self.by)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    fn remembered(path: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        ReplayCache::under("/session/").remember(
            &path.parse().unwrap(),
            &ID.parse().unwrap(),
            &mut headers,
        );
        assert_eq!(
            headers.contains_key("fly-replay-cache"),
            headers.contains_key("fly-replay-cache-ttl-secs")
        );
        headers
            .get("fly-replay-cache")
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_pattern_comes_from_the_parsed_id() {
        let pattern = format!("/session/{ID}/*");
        assert_eq!(remembered(&format!("/session/{ID}")), Some(pattern.clone()));
        assert_eq!(remembered(&format!("/session/{ID}/a?b=c")), Some(pattern));
    }

    #[test]
    fn a_path_that_spells_the_id_differently_is_not_remembered() {
        for path in [
            format!("/session/{}", ID.to_uppercase()),
            format!("/session/{ID}x"),
            format!("//session/{ID}"),
            "/other".to_owned(),
        ] {
            assert_eq!(remembered(&path), None, "{path}");
        }
    }

    #[test]
    fn a_session_is_invalidated_once_per_lifetime() {
        let cache = ReplayCache::under("/session");
        let (session, start) = (&ID.parse().unwrap(), Instant::now());
        assert!(cache.may_invalidate(session, start));
        assert!(!cache.may_invalidate(session, start + Duration::from_secs(59)));
        assert!(cache.may_invalidate(session, start + Duration::from_secs(60)));
    }

    #[test]
    fn made_up_sessions_cannot_grow_it_without_end() {
        let cache = ReplayCache::under("/session");
        let start = Instant::now();
        let id = |n: usize| SessionId::new(uuid::Uuid::from_u128(n as u128));
        assert!((0..REMEMBERED).all(|n| cache.may_invalidate(&id(n), start)));
        assert!(!cache.may_invalidate(&id(REMEMBERED), start));
        assert!(cache.may_invalidate(&id(REMEMBERED), start + Duration::from_secs(60)));
        assert_eq!(cache.invalidated.lock().unwrap().len(), 1);
    }
}
