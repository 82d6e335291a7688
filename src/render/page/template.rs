//! A page with holes, taken apart once and filled often.

use std::borrow::Cow;

/// `{{name}}` is a hole; what stands between `{{#name}}` and `{{/name}}` is left out if `name` has
/// no value. A section of a hole holds that hole, and perhaps others that have a value when it has one. Sections do not
/// nest. That is all a page of ours needs, so there is no engine.
#[derive(Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
    end: String,
}

/// A text, a hole after it, and what stands around the hole if it has a value.
#[derive(Debug)]
struct Part {
    text: String,
    before: String,
    hole: Hole,
    after: String,
}

/// What differs from refusal to refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    Detail,
    Time,
    Clock,
    Session,
    Machine,
    Owner,
    Wait,
    Refresh,
}

impl Hole {
    pub(super) const COUNT: usize = Self::Refresh as usize + 1;

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "detail" => Self::Detail,
            "time" => Self::Time,
            "clock" => Self::Clock,
            "session" => Self::Session,
            "machine" => Self::Machine,
            "owner" => Self::Owner,
            "wait" => Self::Wait,
            "refresh" => Self::Refresh,
            _ => return None,
        })
    }
}

/// The value of each hole, by its number.
pub(super) type Values<'a> = [Option<Cow<'a, str>>; Hole::COUNT];

impl Template {
    /// Takes the page apart. What is the same for all refusals of a kind is filled in here: a name that is no
    /// [`Hole`] is asked of `constant`, and a section without a value left out.
    pub(super) fn new(source: &str, constant: impl Fn(&str) -> Option<Constant>) -> Self {
        let mut builder = Builder::default();
        let mut left_out = false;
        let mut rest = source;
        while let Some((text, (name, after))) = rest
            .split_once("{{")
            .and_then(|(text, tail)| Some((text, tail.split_once("}}")?)))
        {
            if !left_out {
                builder.text(text);
            }
            rest = after;
            let (sign, bare) = match name.as_bytes().first() {
                Some(b'#' | b'/') => name.split_at(1),
                _ => ("", name),
            };
            match (sign, Hole::named(bare)) {
                ("#", None) => left_out = constant(bare).is_none(),
                ("/", None) => left_out = false,
                _ if left_out => {}
                ("", None) => match constant(bare) {
                    Some(Constant::Text(value)) => builder.text(&escaped(&value)),
                    Some(Constant::Markup(value)) => builder.text(&value),
                    None => {}
                },
                ("", Some(hole)) => builder.hole(hole),
                (sign, Some(_)) => {
                    builder.state = if sign == "#" {
                        State::Before
                    } else {
                        State::Outside
                    }
                }
                (_, None) => {}
            }
        }
        builder.text(rest);
        Self {
            parts: builder.parts,
            end: builder.text,
        }
    }

    /// Fills the holes with values that were escaped. The page takes exactly its length, so that it becomes the
    /// body as it is.
    pub(super) fn fill(&self, values: &Values<'_>) -> Vec<u8> {
        let mut length = 0;
        self.each(values, |part| length += part.len());
        let mut page = Vec::with_capacity(length);
        self.each(values, |part| page.extend_from_slice(part.as_bytes()));
        page
    }

    #[inline]
    fn each(&self, values: &Values<'_>, mut write: impl FnMut(&str)) {
        for part in &self.parts {
            write(&part.text);
            if let Some(value) = &values[part.hole as usize] {
                write(&part.before);
                write(value);
                write(&part.after);
            }
        }
        write(&self.end);
    }
}

/// Puts a template together.
#[derive(Default)]
struct Builder {
    parts: Vec<Part>,
    text: String,
    before: String,
    state: State,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Outside,
    /// In a section, before its first hole.
    Before,
    /// In a section, after a hole.
    After,
}

impl Builder {
    fn text(&mut self, text: &str) {
        match (self.state, self.parts.last_mut()) {
            (State::After, Some(part)) => part.after.push_str(text),
            (State::Before, _) => self.before.push_str(text),
            _ => self.text.push_str(text),
        }
    }

    fn hole(&mut self, hole: Hole) {
        self.parts.push(Part {
            text: std::mem::take(&mut self.text),
            before: std::mem::take(&mut self.before),
            hole,
            after: String::new(),
        });
        if let State::Before = self.state {
            self.state = State::After;
        }
    }
}

/// What is the same for all refusals.
#[derive(Clone, Debug)]
pub(in crate::render) enum Constant {
    Text(Cow<'static, str>),
    /// Made of text that was escaped.
    #[cfg_attr(
        not(any(feature = "brand", test)),
        expect(dead_code, reason = "only brands have it")
    )]
    Markup(Cow<'static, str>),
}

/// The text so that it is text wherever it stands, also in a quoted attribute.
pub(in crate::render) fn escaped(text: &str) -> Cow<'_, str> {
    // Without an early end and without branches, this is what the compiler turns into a few vector instructions.
    let special = text.bytes().fold(0, |found, byte| {
        let is = |special: u8| u8::from(byte == special);
        found | is(b'&') | is(b'<') | is(b'>') | is(b'"') | is(b'\'')
    });
    if special == 0 {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 32);
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKUP: &str = "<b a=\"1\" c='2'>&</b>";
    const ESCAPED: &str = "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;&lt;/b&gt;";

    fn filled(source: &str) -> String {
        let template = Template::new(source, |name| match name {
            "who" => Some(Constant::Text(MARKUP.into())),
            "known" => Some(Constant::Markup("<i>".into())),
            _ => None,
        });
        let mut values = Values::default();
        values[Hole::Session as usize] = Some(escaped(MARKUP));
        values[Hole::Wait as usize] = Some("".into());
        let page = template.fill(&values);
        assert_eq!(page.len(), page.capacity());
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn values_are_text_and_never_markup() {
        for source in ["<p title=\"{{who}}\">", "<p title=\"{{session}}\">"] {
            assert_eq!(filled(source), format!("<p title=\"{ESCAPED}\">"));
        }
        assert_eq!(filled("{{known}}{{wait}}"), "<i>");
    }

    #[test]
    fn sections_without_a_value_are_left_out() {
        assert_eq!(filled("a{{#wait}}b{{wait}}c{{/wait}}d"), "abcd");
        assert_eq!(
            filled(
                "a{{#session}}b{{session}}c{{wait}}d{{/session}}e{{#owner}}f{{owner}}g{{/owner}}h"
            ),
            format!("ab{ESCAPED}cdeh")
        );
        assert_eq!(filled("a{{#owner}}b{{owner}}{{who}}{{/owner}}c"), "ac");
        assert_eq!(filled("a{{#known}}b{{/known}}c"), "abc");
        assert_eq!(filled("a{{#gone}}b{{session}}{{who}}{{/gone}}c"), "ac");
    }

    #[test]
    fn what_is_no_hole_stays() {
        for source in ["", "a{b}c", "}} {", "open {{ and not closed"] {
            assert_eq!(filled(source), source);
        }
        assert_eq!(filled("a{{gone}}{{owner}}b"), "ab");
    }
}
