//! Requests for a session that are written down before the session is known.

use http::{HeaderName, HeaderValue, header};

use crate::SessionId;

/// What stands for the session's id.
pub(crate) const PLACE: &str = "{session}";

/// The URL with the id in it, written as a URL has to have it.
pub(crate) fn url_of(template: &str, id: &SessionId) -> String {
    template.replace(PLACE, &id.encoded())
}

/// The field with the id in it: as it is, and in a cookie encoded, as cookies are read.
pub(crate) fn field_of(name: &HeaderName, template: &str, id: &SessionId) -> Option<HeaderValue> {
    let text = if *name == header::COOKIE {
        url_of(template, id)
    } else {
        template.replace(PLACE, &id.to_string())
    };
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_written_as_its_place_has_it() {
        let id = SessionId::parse("a b/ü").unwrap();
        let field = |name: HeaderName, template: &str| {
            let field = field_of(&name, template, &id).unwrap();
            String::from_utf8(field.as_bytes().to_vec()).unwrap()
        };
        assert_eq!(
            url_of("https://a/{session}/x", &id),
            "https://a/a%20b%2F%C3%BC/x"
        );
        assert_eq!(
            field(header::COOKIE, "a=b; sid={session}"),
            "a=b; sid=a%20b%2F%C3%BC"
        );
        assert_eq!(
            field(HeaderName::from_static("x-session"), "{session}"),
            "a b/ü"
        );
    }
}
