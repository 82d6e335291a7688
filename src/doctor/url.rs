//! The public URL of a session.

use http::Uri;

use crate::SessionId;

const PLACE: &str = "{session}";

/// A URL that was parsed with an id in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlTemplate(String);

/// Why a text is no URL of a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot be asked: {reason}")]
pub struct InvalidUrl {
    text: String,
    reason: &'static str,
}

impl InvalidUrl {
    pub(super) fn new(text: &str, reason: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            reason,
        }
    }
}

impl UrlTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if !text.contains(PLACE) {
            return Err(InvalidUrl::new(
                text,
                "it does not say where the session's id goes: `{session}`",
            ));
        }
        let template = Self(text.to_owned());
        checked(&template.of(SessionId::new(uuid::Uuid::nil())))
            .map_err(|error| InvalidUrl::new(text, error.reason))?;
        Ok(template)
    }

    pub(super) fn of(&self, id: SessionId) -> String {
        self.0.replace(PLACE, &id.to_string())
    }
}

/// An absolute URL that can be asked.
pub(super) fn checked(text: &str) -> Result<Uri, InvalidUrl> {
    let url: Uri = text
        .parse()
        .map_err(|_| InvalidUrl::new(text, "it is no URL"))?;
    let has_host = url.host().is_some_and(|host| !host.is_empty());
    if !matches!(url.scheme_str(), Some("http" | "https")) || !has_host {
        return Err(InvalidUrl::new(text, "it is no http or https URL"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_says_where_the_session_goes() {
        let id = "807efe44-d63e-4a24-88f5-dbe96112830a";
        let template = UrlTemplate::parse("https://app.example.com/session/{session}/").unwrap();
        assert_eq!(
            template.of(SessionId::parse(id).unwrap()),
            format!("https://app.example.com/session/{id}/")
        );
        assert!(UrlTemplate::parse("https://{session}.example.com/").is_ok());
        for text in [
            "https://app.example.com/session/",
            "app.example.com/{session}",
            "ftp://app.example.com/{session}",
            "{session}",
            "",
        ] {
            assert!(UrlTemplate::parse(text).is_err(), "{text}");
        }
    }
}
