//! The request for a session, as clients make it.

use http::{HeaderMap, HeaderName};

use crate::{
    Address, SessionId,
    http_client::of_session::{PLACE, field_of, url_of},
};

/// A URL and header fields that were parsed with an id in their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestTemplate {
    url: String,
    fields: Vec<(HeaderName, String)>,
}

/// Why a text is no URL that the doctor can request.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// Neither the URL nor a header has a place for the session's id.
    #[error("{text:?} does not say where the session's id goes: `{{session}}`")]
    NoPlace {
        /// The text.
        text: String,
    },
    /// It is no absolute URL.
    #[error("{text:?} is no absolute http or https URL without user information")]
    NotAUrl {
        /// The text.
        text: String,
    },
    /// A header's name or value cannot be one.
    #[error("{text:?} is no header that can be sent")]
    NotAHeader {
        /// The header's name.
        text: String,
    },
}

impl RequestTemplate {
    pub(super) fn parse(url: &str, fields: &[(&str, &str)]) -> Result<Self, InvalidUrl> {
        let mut places = fields.iter().map(|(_, value)| *value).chain([url]);
        if !places.any(|text| text.contains(PLACE)) {
            let text = url.to_owned();
            return Err(InvalidUrl::NoPlace { text });
        }
        let fields = fields.iter().map(|(name, value)| {
            let parsed = HeaderName::try_from(*name).map_err(|_| not_a_header(name))?;
            Ok((parsed, (*value).to_owned()))
        });
        let template = Self {
            url: url.to_owned(),
            fields: fields.collect::<Result<_, InvalidUrl>>()?,
        };
        template.of(&SessionId::new(uuid::Uuid::nil()))?;
        Ok(template)
    }

    pub(super) fn of(&self, id: &SessionId) -> Result<(Address, HeaderMap), InvalidUrl> {
        let mut headers = HeaderMap::new();
        for (name, template) in &self.fields {
            let value = field_of(name, template, id).ok_or_else(|| not_a_header(name.as_str()))?;
            headers.append(name, value);
        }
        Ok((address(&url_of(&self.url, id))?, headers))
    }
}

fn not_a_header(name: &str) -> InvalidUrl {
    InvalidUrl::NotAHeader {
        text: name.to_owned(),
    }
}

pub(super) fn address(text: &str) -> Result<Address, InvalidUrl> {
    Address::parse(text).map_err(|_| InvalidUrl::NotAUrl {
        text: text.to_owned(),
    })
}

crate::observe::debug_as_chain!(InvalidUrl);

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    fn of(url: &str, fields: &[(&str, &str)]) -> Result<(String, HeaderMap), InvalidUrl> {
        let id = SessionId::parse(ID).unwrap();
        let (url, headers) = RequestTemplate::parse(url, fields)?.of(&id)?;
        Ok((url.to_string(), headers))
    }

    #[test]
    fn a_template_says_where_the_session_goes() {
        assert_eq!(
            of("https://app.example.com/session/{session}/", &[]),
            Ok((
                format!("https://app.example.com/session/{ID}/"),
                HeaderMap::new()
            ))
        );
        assert!(of("https://{session}.example.com/", &[]).is_ok());
        for text in [
            "https://app.example.com/session/",
            "app.example.com/{session}",
            "ftp://app.example.com/{session}",
            "{session}",
            "",
        ] {
            assert!(of(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn a_header_or_cookie_may_have_the_place() {
        let fields = [("Mcp-Session-Id", "{session}"), ("x-other", "a")];
        let (url, headers) = of("https://app.example.com/mcp", &fields).unwrap();
        assert_eq!(url, "https://app.example.com/mcp");
        assert_eq!(headers["mcp-session-id"], ID);
        assert_eq!(headers["x-other"], "a");
        for fields in [
            [("x-other", "a")],
            [("no name", "{session}")],
            [("x-session", "{session}\r\nx-forged: 1")],
        ] {
            assert!(of("https://app.example.com/", &fields).is_err());
        }
    }
}
