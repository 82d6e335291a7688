//! A page with holes, taken apart once and filled often.

use std::borrow::Cow;

/// `{{name}}` is a hole; what stands between `{{#name}}` and `{{/name}}` is left out if `name` has
/// no value. Sections do not nest. That is all a page of ours needs, so there is no engine.
#[derive(Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    longest: usize,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Hole(Hole),
    Begin(Hole),
    End,
}

/// What differs from refusal to refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    Mood,
    Headline,
    Sentence,
    Advice,
    Detail,
    Code,
    Time,
    Clock,
    Session,
    Machine,
    Owner,
    Wait,
    Refresh,
    Still,
    Again,
}

impl Hole {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "mood" => Self::Mood,
            "headline" => Self::Headline,
            "sentence" => Self::Sentence,
            "advice" => Self::Advice,
            "detail" => Self::Detail,
            "code" => Self::Code,
            "time" => Self::Time,
            "clock" => Self::Clock,
            "session" => Self::Session,
            "machine" => Self::Machine,
            "owner" => Self::Owner,
            "wait" => Self::Wait,
            "refresh" => Self::Refresh,
            "still" => Self::Still,
            "again" => Self::Again,
            _ => return None,
        })
    }
}

/// A value of a hole.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Text of ours, which holds nothing to escape: a test looks.
    Ours(&'a str),
    /// Any other text.
    Any(&'a str),
}

impl Template {
    /// Takes the page apart. What is the same for all refusals is filled in here: a name that is no [`Hole`] is
    /// asked of `constant`, and a section without a value left out.
    pub(super) fn new(source: &str, constant: impl Fn(&str) -> Option<Constant>) -> Self {
        let mut pieces = Vec::new();
        let (mut text, mut left_out) = (String::new(), false);
        let mut rest = source;
        while let Some((before, (name, after))) = rest
            .split_once("{{")
            .and_then(|(before, tail)| Some((before, tail.split_once("}}")?)))
        {
            if !left_out {
                text.push_str(before);
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
                (_, None) => match constant(bare) {
                    Some(Constant::Text(value)) => push_escaped(&mut text, &value),
                    Some(Constant::Markup(value)) => text.push_str(&value),
                    None => {}
                },
                (sign, Some(hole)) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(match sign {
                        "#" => Piece::Begin(hole),
                        "/" => Piece::End,
                        _ => Piece::Hole(hole),
                    });
                }
            }
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        let texts = pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            _ => 0,
        });
        let longest = texts.sum();
        Self { pieces, longest }
    }

    /// Fills the holes.
    pub(super) fn fill<'v>(&self, value: impl Fn(Hole) -> Option<Value<'v>>) -> String {
        // Room for what is filled in, too.
        let mut page = String::with_capacity(self.longest + ROOM);
        let mut left_out = false;
        for piece in &self.pieces {
            match piece {
                Piece::Begin(hole) => left_out = value(*hole).is_none(),
                Piece::End => left_out = false,
                _ if left_out => {}
                Piece::Text(text) => page.push_str(text),
                Piece::Hole(hole) => match value(*hole) {
                    Some(Value::Ours(text)) => page.push_str(text),
                    Some(Value::Any(text)) => push_escaped(&mut page, text),
                    None => {}
                },
            }
        }
        page
    }
}

/// More than what is filled in takes, but for odd ids and details.
const ROOM: usize = 1536;

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

/// Appends text so that it is text wherever it stands, also in a quoted attribute.
pub(in crate::render) fn push_escaped(page: &mut String, text: &str) {
    // Without an early end and without branches, this is what the compiler turns into a few vector instructions.
    let special = text.bytes().fold(0, |found, byte| {
        let is = |special: u8| u8::from(byte == special);
        found | is(b'&') | is(b'<') | is(b'>') | is(b'"') | is(b'\'')
    });
    if special == 0 {
        return page.push_str(text);
    }
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

    const MARKUP: &str = "<b a=\"1\" c='2'>&</b>";
    const ESCAPED: &str = "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;&lt;/b&gt;";

    fn filled(source: &str) -> String {
        let template = Template::new(source, |name| match name {
            "who" => Some(Constant::Text(MARKUP.into())),
            "known" => Some(Constant::Markup("<i>".into())),
            _ => None,
        });
        template.fill(|hole| match hole {
            Hole::Session => Some(Value::Any(MARKUP)),
            Hole::Code => Some(Value::Ours("code")),
            Hole::Wait => Some(Value::Ours("")),
            _ => None,
        })
    }

    #[test]
    fn values_are_text_and_never_markup() {
        for source in ["<p title=\"{{who}}\">", "<p title=\"{{session}}\">"] {
            assert_eq!(filled(source), format!("<p title=\"{ESCAPED}\">"));
        }
        assert_eq!(filled("{{known}}{{code}}"), "<i>code");
    }

    #[test]
    fn sections_without_a_value_are_left_out() {
        assert_eq!(filled("a{{#wait}}b{{/wait}}c"), "abc");
        assert_eq!(filled("a{{#owner}}b{{session}}{{who}}{{/owner}}c"), "ac");
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
