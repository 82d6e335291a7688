//! The public URL of a session.

use crate::{Address, SessionId};

const PLACE: &str = "{session}";

/// A URL that was parsed with an id in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlTemplate(String);

/// Why a text is no URL that the doctor can request.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// The URL of sessions has no place for their id.
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
}

impl UrlTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidUrl> {
        if !text.contains(PLACE) {
            let text = text.to_owned();
            return Err(InvalidUrl::NoPlace { text });
        }
        let template = Self(text.to_owned());
        template.of(&SessionId::new(uuid::Uuid::nil()))?;
        Ok(template)
    }

    pub(super) fn of(&self, id: &SessionId) -> Result<Address, InvalidUrl> {
        address(&self.0.replace(PLACE, &id.encoded()))
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

    #[test]
    fn a_template_says_where_the_session_goes() {
        let id = "807efe44-d63e-4a24-88f5-dbe96112830a";
        let template = UrlTemplate::parse("https://app.example.com/session/{session}/").unwrap();
        assert_eq!(
            template
                .of(&SessionId::parse(id).unwrap())
                .unwrap()
                .to_string(),
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
