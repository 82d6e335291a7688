//! Addresses that a page may name.

use super::InvalidBrand;

/// An address of printable ASCII that says what it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Address<'a> {
    /// `https:` or `http:`, as far as the query, and the whole.
    Web { place: &'a str, whole: &'a str },
    /// A path of this host.
    Path(&'a str),
    /// `mailto:` or `tel:`.
    Person(&'a str),
}

impl<'a> Address<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, InvalidBrand> {
        let invalid = |reason| InvalidBrand::Address {
            address: text.to_owned(),
            reason,
        };
        // What a browser drops or reads in another way has no place here, nor what ends a source of a policy.
        let is_plain = |byte: u8| {
            byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`')
        };
        if !text.bytes().all(is_plain) {
            return Err(invalid(
                "it holds more than the characters of a URL; escape them as %xx",
            ));
        }
        if text.starts_with('/') {
            return match text.as_bytes().get(1) {
                Some(b'/') => Err(invalid(
                    "it begins with two slashes, which names another host",
                )),
                _ => Ok(Self::Path(text)),
            };
        }
        if text.starts_with("mailto:") || text.starts_with("tel:") {
            return Ok(Self::Person(text));
        }
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| {
            invalid("it is no https:, http:, mailto: or tel: and no path that begins with /")
        })?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty() || host.contains('@') || host.parse::<http::uri::Authority>().is_err() {
            return Err(invalid("it names no host"));
        }
        let place = text.split(['?', '#']).next().unwrap_or_default();
        Ok(Self::Web { place, whole: text })
    }

    /// Where a link may lead.
    pub(super) fn of_a_link(self) -> &'a str {
        match self {
            Self::Web { whole, .. } | Self::Path(whole) | Self::Person(whole) => whole,
        }
    }

    /// Where a picture may be, and the source that allows that one (CSP 3, section 2.3.1).
    pub(super) fn of_an_image(self) -> Result<(&'a str, &'a str), InvalidBrand> {
        match self {
            Self::Web { place, .. } if place.contains([';', ',', '*']) => {
                Err(InvalidBrand::Address {
                    address: place.to_owned(),
                    reason: "a policy cannot name it: escape `;`, `,` and `*` as %3B, %2C and %2A",
                })
            }
            Self::Web { place, whole } => Ok((whole, place)),
            Self::Path(whole) => Ok((whole, "'self'")),
            Self::Person(whole) => Err(InvalidBrand::Address {
                address: whole.to_owned(),
                reason: "it is no picture's",
            }),
        }
    }
}
