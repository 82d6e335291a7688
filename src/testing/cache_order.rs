//! What a replay asks the replay cache to do.

use std::time::Duration;

use http::HeaderMap;

use super::instruction::Malformed;

/// The least lifetime that Fly documents for an entry.
pub(super) const MIN_TTL: u64 = 10;

/// An order to the replay cache that came along with a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum CacheOrder {
    #[default]
    None,
    Invalidate,
    Store(Pattern),
}

/// Which later requests an entry answers, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    /// Without a port; `None` means the host of the request at hand.
    pub(super) host: Option<String>,
    /// Without the trailing `/*`, so `/*` itself is the empty string.
    pub(super) prefix: String,
    pub(super) ttl: Duration,
    pub(super) allow_bypass: bool,
}

impl CacheOrder {
    /// Reads the response headers beside a `fly-replay` header.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, Malformed> {
        let Some(pattern) = text(headers, "fly-replay-cache")? else {
            return Ok(Self::None);
        };
        if pattern == "invalidate" {
            return Ok(Self::Invalidate);
        }
        let ttl = match text(headers, "fly-replay-cache-ttl-secs")? {
            Some(secs) => Some(
                secs.parse()
                    .map_err(|_| Malformed(format!("fly-replay-cache-ttl-secs: {secs}")))?,
            ),
            None => None,
        };
        let bypass = match text(headers, "fly-replay-cache-allow-bypass")? {
            None | Some("no") => false,
            Some("yes") => true,
            Some(other) => {
                return Err(Malformed(format!("fly-replay-cache-allow-bypass: {other}")));
            }
        };
        Self::store(pattern, ttl, bypass)
    }

    pub(super) fn store(
        pattern: &str,
        ttl: Option<u64>,
        allow_bypass: bool,
    ) -> Result<Self, Malformed> {
        let slash = pattern
            .find('/')
            .ok_or_else(|| Malformed(format!("replay cache: `{pattern}` is not a path")))?;
        let (host, path) = pattern.split_at(slash);
        let prefix = path.strip_suffix("/*").unwrap_or(path);
        if prefix.contains('*') || host.contains(':') {
            return Err(Malformed(format!("replay cache: pattern `{pattern}`")));
        }
        let ttl = ttl.ok_or_else(|| Malformed("replay cache: no lifetime".into()))?;
        if ttl < MIN_TTL {
            return Err(Malformed(format!(
                "replay cache: {ttl} s is below the least lifetime of {MIN_TTL} s"
            )));
        }
        Ok(Self::Store(Pattern {
            host: (!host.is_empty()).then(|| host.to_ascii_lowercase()),
            prefix: prefix.trim_end_matches('/').to_owned(),
            ttl: Duration::from_secs(ttl),
            allow_bypass,
        }))
    }
}

impl Pattern {
    /// Does the pattern cover this request?
    pub(super) fn matches(&self, host: &str, path: &str) -> bool {
        let rest = path.strip_prefix(self.prefix.as_str());
        self.host.as_deref().is_none_or(|own| own == host)
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Malformed> {
    headers
        .get(name)
        .map(|value| value.to_str())
        .transpose()
        .map_err(|_| Malformed(format!("{name} is not visible ASCII")))
}

#[cfg(test)]
mod tests {
    use super::CacheOrder;

    fn pattern(text: &str) -> super::Pattern {
        match CacheOrder::store(text, Some(10), false) {
            Ok(CacheOrder::Store(pattern)) => pattern,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_pattern_ends_at_a_path_segment() {
        let session = pattern("/session/7f/*");
        assert!(session.matches("a", "/session/7f/log") && session.matches("a", "/session/7f"));
        assert!(!session.matches("a", "/session/7fff") && !session.matches("a", "/session"));
        assert!(pattern("/*").matches("a", "/anything"));
    }

    #[test]
    fn a_pattern_may_name_its_host() {
        let named = pattern("Example.com/a/*");
        assert!(named.matches("example.com", "/a/b") && !named.matches("other.com", "/a/b"));
    }

    #[test]
    fn too_short_a_life_is_refused() {
        assert!(CacheOrder::store("/a/*", Some(9), false).is_err());
        assert!(CacheOrder::store("/a/*", None, false).is_err());
        assert!(CacheOrder::store("a", Some(10), false).is_err());
        assert!(CacheOrder::store("/a/*/b", Some(10), false).is_err());
        assert!(CacheOrder::store("example.com:80/a/*", Some(10), false).is_err());
    }
}
