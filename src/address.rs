//! Where a client can reach a machine.

use std::{fmt, str::FromStr};

use http::{Uri, uri::Authority};

/// The absolute `http` or `https` URL of a machine, without user information.
///
/// It comes from a database row, so it is parsed before it can get near a header. That it is
/// well-formed says nothing about whether a client may be sent there:
/// [`Redirect`](crate::Redirect) asks its allow-list.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address(Uri);

impl Address {
    /// Reads a URL such as `https://e2863555a91708.example.com/base`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let uri = Uri::from_str(text).map_err(|_| InvalidAddress)?;
        let http = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.authority().is_some_and(is_host_with_sound_port);
        // `http::Uri` lets some bytes through that a header or a browser reads in its own way.
        let plain = text.bytes().all(|byte| {
            byte.is_ascii_graphic()
                && !matches!(
                    byte,
                    b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#'
                )
        });
        if http && host && plain {
            Ok(Self(uri))
        } else {
            Err(InvalidAddress)
        }
    }

    /// The whole URL.
    #[must_use]
    pub fn as_uri(&self) -> &Uri {
        &self.0
    }

    /// About how many bytes are allocated for it: its text, and a count of references.
    pub(crate) fn heap_bytes(&self) -> usize {
        let path = self
            .0
            .path_and_query()
            .map_or(0, |path| path.as_str().len());
        self.scheme().len() + self.authority().len() + path + 64
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or("https")
    }

    /// The host, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// The host with the port, if there is one.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0
            .authority()
            .map(Authority::as_str)
            .unwrap_or_default()
    }
}

/// Whether there is a host, no user information, and no port that is none: `http` takes
/// `host:99999` and `host:` for an authority.
pub(crate) fn is_host_with_sound_port(authority: &Authority) -> bool {
    let (whole, host) = (authority.as_str(), authority.host());
    !host.is_empty() && (whole == host || authority.port_u16().is_some() && whole.starts_with(host))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.0)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The text is no absolute `http` or `https` URL, or it holds user information or a fragment.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute http or https URL without user information")]
#[non_exhaustive]
pub struct InvalidAddress;

crate::observe::debug_as_chain!(InvalidAddress);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_machines_are_read() {
        let address = Address::parse("https://e2863555a91708.example.com:8443/base").unwrap();
        assert_eq!(
            (address.host(), address.authority(), address.scheme()),
            (
                "e2863555a91708.example.com",
                "e2863555a91708.example.com:8443",
                "https"
            )
        );
    }

    #[test]
    fn nothing_that_could_reach_a_stranger_or_break_a_header_is_read() {
        for text in [
            "",
            "example.com",
            "/path",
            "//example.com",
            "ftp://example.com",
            "javascript:alert(1)",
            "https://",
            "https://example.com:",
            "https://example.com:99999",
            "https://example.com:port",
            "https://user@example.com",
            "https://good.example.com@evil.example",
            "https://good.example.com\\@evil.example",
            "https://example.com/a\r\nset-cookie: x",
            "https://example.com/#fragment",
            "https://example.com/ä",
        ] {
            assert_eq!(Address::parse(text), Err(InvalidAddress), "{text:?}");
        }
    }
}
