//! What makes a client forget a cookie.

use http::HeaderValue;

use super::{Cookie, InvalidExtractor};

impl Cookie {
    /// Has refusals of a dead cookie expire it in the client: they carry `Set-Cookie` with
    /// `Max-Age=0`, for the path, and the host alone, that the cookie was set for. Off by default.
    ///
    /// ```
    /// let extractor = tower_ownership::Cookie::named("sid")?.expires("/")?.refuse_dead();
    /// # Ok::<(), tower_ownership::extract::InvalidExtractor>(())
    /// ```
    ///
    /// These are refusals with `session-unknown`, `session-over` and `session-absent` of a session
    /// that was read from this cookie, and those of a value that cannot be an id. A request that
    /// passes has no refusal: there, the application expires the cookie or sets another one.
    ///
    /// Off by default, because path and domain are the application's, and a client that gets others
    /// keeps the cookie; and because a session that is unknown may be known a moment later, where
    /// the directory is read from a replica. A cookie for one host and one for a domain are
    /// different cookies: to expire both, call this and [`expires_in`](Self::expires_in).
    ///
    /// The name's prefix says whether the cookie is set with `Secure`; without one it is not, so that
    /// a client expires it over `http` as well. Browsers ignore it in frames of other sites.
    ///
    /// # Errors
    /// A path that does not begin with `/`, or holds `;` or anything but visible ASCII; a path
    /// other than `/` for a cookie whose name begins with `__Host-`.
    pub fn expires(self, path: &str) -> Result<Self, InvalidExtractor> {
        self.expires_where(path, None)
    }

    /// The same, for a cookie that was set with this `Domain`.
    ///
    /// # Errors
    /// As [`expires`](Self::expires), and for a domain that is none, or a cookie whose name begins
    /// with `__Host-`, which has none.
    pub fn expires_in(self, path: &str, domain: &str) -> Result<Self, InvalidExtractor> {
        let part = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
        if domain.is_empty() || !domain.bytes().all(part) {
            let expected = "the domain of a cookie, such as `example.com`";
            return Err(InvalidExtractor::new(domain, expected));
        }
        if self.has_prefix("__Host-") {
            let expected = "a domain of a `__Host-` cookie, which is for one host";
            return Err(InvalidExtractor::new(domain, expected));
        }
        self.expires_where(path, Some(domain))
    }

    fn expires_where(mut self, path: &str, domain: Option<&str>) -> Result<Self, InvalidExtractor> {
        let visible = |byte: u8| byte.is_ascii_graphic() && byte != b';';
        if !path.starts_with('/') || !path.bytes().all(visible) {
            let expected = "the path of a cookie, such as `/`";
            return Err(InvalidExtractor::new(path, expected));
        }
        if self.has_prefix("__Host-") && path != "/" {
            let expected = "the path of a `__Host-` cookie, which is `/`";
            return Err(InvalidExtractor::new(path, expected));
        }
        let domain = domain.map_or_else(String::new, |domain| format!("; Domain={domain}"));
        let is_secure = ["__Host-", "__Secure-", "__Http-"].map(|prefix| self.has_prefix(prefix));
        // Without `Secure` a client takes it over `https` as well, and only without over `http`.
        let secure = if is_secure.contains(&true) {
            "; Secure"
        } else {
            ""
        };
        let line = format!(
            "{}=; Max-Age=0; Path={path}{domain}{secure}; HttpOnly",
            self.name
        );
        let line = HeaderValue::try_from(line);
        self.expiry.push(
            line.map_err(|_| InvalidExtractor::new(path, "the path of a cookie, such as `/`"))?,
        );
        Ok(self)
    }

    /// Clients compare prefixes without regard to case (RFC 6265bis).
    fn has_prefix(&self, prefix: &str) -> bool {
        let start = self.name.as_bytes().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{
        ExtractSession,
        tests::{A, head},
    };
    use super::*;

    fn lines(cookie: &Cookie, sent: &str) -> Vec<String> {
        let head = head("/", &[("cookie", sent.as_bytes())]);
        let lines = cookie.expiry(&(&head).into()).iter();
        lines
            .map(|line| line.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_cookie_is_expired_where_it_was_set() {
        let sid = || Cookie::named("sid").unwrap();
        let sent = format!("a=b; sid={A}");
        assert!(lines(&sid(), &sent).is_empty());
        let both = sid().expires("/").unwrap();
        let both = both.expires_in("/app", "example.com").unwrap();
        assert_eq!(
            lines(&both, &sent),
            [
                "sid=; Max-Age=0; Path=/; HttpOnly",
                "sid=; Max-Age=0; Path=/app; Domain=example.com; HttpOnly"
            ]
        );
        assert!(lines(&both, "a=b").is_empty());
    }

    #[test]
    fn a_prefix_decides_what_a_client_accepts() {
        for (name, secure) in [
            ("__Host-sid", true),
            ("__SECURE-sid", true),
            ("__Http-sid", true),
            ("__Hos", false),
        ] {
            let cookie = Cookie::named(name).unwrap().expires("/").unwrap();
            let sent = format!("{name}=");
            assert_eq!(
                lines(&cookie, &sent)[0].contains("; Secure"),
                secure,
                "{name}"
            );
        }
        let host = || Cookie::named("__Host-sid").unwrap();
        assert!(host().expires("/app").is_err());
        assert!(host().expires_in("/", "example.com").is_err());
    }

    #[test]
    fn what_would_end_the_attribute_is_refused() {
        let sid = || Cookie::named("sid").unwrap();
        for path in ["", "app", "/a;b", "/a b", "/\r\n", "/\u{e9}"] {
            assert!(sid().expires(path).is_err(), "{path:?}");
        }
        for domain in ["", "a;b", "a b", "a\r\n", "b\u{fc}cher.de"] {
            assert!(sid().expires_in("/", domain).is_err(), "{domain:?}");
        }
    }
}
