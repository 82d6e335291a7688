//! A page with holes, taken apart once and filled often.

use std::borrow::Cow;

/// `{{name}}` is a hole; what stands between `{{#name}}` and `{{/name}}` is left out if `name` has
/// no value. Sections do not nest. That is all a page of ours needs, so there is no engine.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(&'static str),
    Hole(&'static str),
    Begin(&'static str),
    End,
}

impl Template {
    pub(super) fn new(source: &'static str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some((text, (name, after))) = rest
            .split_once("{{")
            .and_then(|(text, tail)| Some((text, tail.split_once("}}")?)))
        {
            pieces.push(Piece::Text(text));
            pieces.push(match name.as_bytes().first() {
                Some(b'#') => Piece::Begin(&name[1..]),
                Some(b'/') => Piece::End,
                _ => Piece::Hole(name),
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest));
        Self(pieces)
    }

    /// Fills the holes. Every value is escaped: there is no other way in.
    pub(super) fn fill<'v>(&self, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> String {
        let mut page = String::with_capacity(12 * 1024);
        let mut left_out = false;
        for piece in &self.0 {
            match piece {
                Piece::Begin(name) => left_out = value(name).is_none(),
                Piece::End => left_out = false,
                _ if left_out => {}
                Piece::Text(text) => page.push_str(text),
                Piece::Hole(name) => {
                    if let Some(value) = value(name) {
                        push_escaped(&mut page, &value);
                    }
                }
            }
        }
        page
    }

    /// The names of all holes and sections.
    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(name) | Piece::Begin(name) => Some(*name),
            Piece::Text(_) | Piece::End => None,
        })
    }
}

/// Appends text so that it is text wherever it stands, also in a quoted attribute.
fn push_escaped(page: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(source: &'static str) -> String {
        Template::new(source).fill(|name| match name {
            "who" => Some("<b a=\"1\" c='2'>&</b>".into()),
            "there" => Some(Cow::Borrowed("")),
            _ => None,
        })
    }

    #[test]
    fn values_are_text_and_never_markup() {
        assert_eq!(
            filled("<p title=\"{{who}}\">"),
            "<p title=\"&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;&lt;/b&gt;\">"
        );
    }

    #[test]
    fn sections_without_a_value_are_left_out() {
        assert_eq!(filled("a{{#there}}b{{/there}}c"), "abc");
        assert_eq!(filled("a{{#gone}}b{{who}}{{/gone}}c"), "ac");
    }

    #[test]
    fn what_is_no_hole_stays() {
        for source in ["", "a{b}c", "}} {", "open {{ and not closed"] {
            assert_eq!(filled(source), source);
        }
        assert_eq!(filled("a{{gone}}b"), "ab");
    }
}
