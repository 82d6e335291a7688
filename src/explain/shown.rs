//! What of a session's id may be seen.

use http::HeaderMap;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::SessionId;

/// Shows texts that may hold the session's id.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    session: Option<SessionId>,
    whole: bool,
}

impl Shown {
    pub(super) fn new(session: Option<SessionId>, whole: bool) -> Self {
        Self { session, whole }
    }

    /// The id itself.
    pub(super) fn id(&self) -> Option<String> {
        self.session.as_ref().map(|id| {
            if self.whole {
                id.to_string()
            } else {
                format!("…{}", id.short())
            }
        })
    }

    /// A text from outside: the id is cut, and what would move a terminal's cursor is gone.
    pub(super) fn text(&self, text: &str) -> String {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        match &self.session {
            Some(id) if !self.whole => cut(&text, id),
            _ => text,
        }
    }

    /// Every text in a value.
    pub(super) fn cut(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.cut(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.cut(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A line per header.
    pub(super) fn headers(&self, headers: &HeaderMap) -> Vec<String> {
        let shown = headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = self.header(name == http::header::LOCATION, &value);
            format!("{name}: {value}")
        });
        shown.collect()
    }

    fn header(&self, is_location: bool, value: &str) -> String {
        // A client's query may hold what it logs in with.
        let value = match value.split_once('?') {
            Some((path, _)) if is_location => format!("{path}?…"),
            _ => value.to_owned(),
        };
        let shown = self.text(&value);
        let decoded = percent_decode_str(&shown).decode_utf8_lossy();
        match &self.session {
            Some(id) if !self.whole && cut(&decoded, id) != decoded => {
                "(not shown: it holds the session's id)".to_owned()
            }
            _ => shown,
        }
    }
}

/// Cuts every spelling of the id. A short one is no secret, and could be part of any word.
fn cut(text: &str, id: &SessionId) -> String {
    const SECRET: usize = 8;
    let short = format!("…{}", id.short());
    let whole = id.to_string().to_ascii_lowercase();
    let mut forms = vec![utf8_percent_encode(&whole, NON_ALPHANUMERIC).to_string()];
    forms.extend(id.as_uuid().map(|uuid| uuid.simple().to_string()));
    forms.push(whole);
    forms
        .iter()
        .map(|form| form.to_ascii_lowercase())
        .filter(|form| form.len() >= SECRET)
        .fold(text.to_owned(), |text, form| replace(&text, &form, &short))
}

/// `form` is in lower case, as the search is.
fn replace(text: &str, form: &str, by: &str) -> String {
    // As many bytes as before: only ASCII letters change.
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in lower.match_indices(form) {
        shown.push_str(&text[from..at]);
        shown.push_str(by);
        from = at + form.len();
    }
    shown.push_str(&text[from..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    fn shown(whole: bool) -> Shown {
        Shown::new(Some(ID.parse().unwrap()), whole)
    }

    #[test]
    fn every_spelling_of_the_id_is_cut() {
        for text in [
            ID,
            "807EFE44-D63E-4A24-88F5-DBE96112830A",
            "807efe44d63e4a2488f5dbe96112830a",
        ] {
            assert_eq!(
                shown(false).text(&format!("ä/{text}/{text}")),
                "ä/…dbe96112830a/…dbe96112830a"
            );
            assert_eq!(shown(true).text(text), text);
        }
    }

    #[test]
    fn a_header_with_an_escaped_id_is_not_shown() {
        let hidden = "/session/807efe44%2Dd63e-4a24-88f5-dbe96112830a";
        assert_eq!(
            shown(false).header(true, hidden),
            "(not shown: it holds the session's id)"
        );
        assert_eq!(shown(true).header(true, hidden), hidden);
        assert_eq!(
            shown(false).header(true, &format!("https://x/{ID}%20/?token=1")),
            "https://x/…dbe96112830a%20/?…"
        );
    }

    #[test]
    fn what_would_move_the_cursor_is_gone() {
        assert_eq!(shown(true).text("a\u{1b}[2J\r\nb"), "a [2J  b");
    }
}
