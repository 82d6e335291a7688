//! Where in a label of a host the id stands.

use super::InvalidExtractor;

/// A label with a place for the id, and perhaps one for a port: `{port}-{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    before: Vec<Piece>,
    after: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Port,
}

/// The longest port, in digits.
const PORT: usize = 5;

impl Shape {
    pub(super) fn parse(shape: &str) -> Result<Self, InvalidExtractor> {
        let invalid = || {
            InvalidExtractor::new(
                shape,
                "the shape of a host's label, such as `{port}-{id}`: one `{id}`, at most one \
                 `{port}` which a letter or a hyphen keeps apart from it, and letters, digits and \
                 hyphens",
            )
        };
        let (before, after) = shape.split_once("{id}").ok_or_else(invalid)?;
        let parsed = Self {
            before: pieces(before).ok_or_else(invalid)?,
            after: pieces(after).ok_or_else(invalid)?,
        };
        let ports = parsed.before.iter().chain(&parsed.after);
        let ports = ports.filter(|&piece| *piece == Piece::Port).count();
        // Digits of an id beside it could be those of the port.
        let touches = parsed.before.last() == Some(&Piece::Port)
            || parsed.after.first() == Some(&Piece::Port);
        if ports > 1 || touches {
            return Err(invalid());
        }
        Ok(parsed)
    }

    /// The id in a label in lower case, if the label has this shape.
    pub(super) fn id<'a>(&self, label: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = label;
        for piece in &self.before {
            rest = match piece {
                Piece::Text(text) => rest.strip_prefix(text.as_bytes())?,
                Piece::Port => {
                    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    rest.get(port(digits)?..)?
                }
            };
        }
        for piece in self.after.iter().rev() {
            rest = match piece {
                Piece::Text(text) => rest.strip_suffix(text.as_bytes())?,
                Piece::Port => {
                    let from_end = rest.iter().rev();
                    let digits = from_end.take_while(|byte| byte.is_ascii_digit()).count();
                    rest.get(..rest.len() - port(digits)?)?
                }
            };
        }
        Some(rest)
    }
}

fn port(digits: usize) -> Option<usize> {
    (1..=PORT).contains(&digits).then_some(digits)
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let literal = |text: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let piece = Piece::Text(text.to_ascii_lowercase().into());
        text.bytes().all(fits).then_some(piece)
    };
    let mut pieces = Vec::new();
    for (number, text) in text.split("{port}").enumerate() {
        if number > 0 {
            pieces.push(Piece::Port);
        }
        if !text.is_empty() {
            pieces.push(literal(text)?);
        }
    }
    // The digits of a port end where a text begins, and the text may not begin with one.
    let is_kept_apart = pieces.windows(2).all(|pair| match pair {
        [Piece::Port, Piece::Text(text)] => !text.starts_with(|c: char| c.is_ascii_digit()),
        [Piece::Text(text), Piece::Port] => !text.ends_with(|c: char| c.is_ascii_digit()),
        _ => true,
    });
    is_kept_apart.then_some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(shape: &str, label: &str) -> Option<String> {
        let shape = Shape::parse(shape).unwrap();
        let id = shape.id(label.as_bytes())?;
        Some(String::from_utf8_lossy(id).into_owned())
    }

    #[test]
    fn the_id_stands_where_the_shape_has_it() {
        for (shape, label, expected) in [
            ("{id}", "abc", Some("abc")),
            ("{port}-{id}", "3000-abc", Some("abc")),
            ("{port}-{id}", "3000-3001-abc", Some("3001-abc")),
            ("{id}--{port}", "a-b--8080", Some("a-b")),
            ("{id}-{port}", "abc-1-65535", Some("abc-1")),
            ("Preview-{id}-x", "preview-abc-x", Some("abc")),
            ("p{port}x{id}", "p80xabc", Some("abc")),
            ("{port}-{id}", "abc", None),
            ("{port}-{id}", "-abc", None),
            ("{port}-{id}", "123456-abc", None),
            ("{id}--{port}", "abc--", None),
            ("{id}--{port}", "abc-8080", None),
        ] {
            assert_eq!(id(shape, label).as_deref(), expected, "{shape} {label}");
        }
    }

    #[test]
    fn a_shape_that_could_be_read_in_two_ways_is_refused() {
        for shape in [
            "",
            "abc",
            "{id}{id}",
            "{port}{id}",
            "{id}{port}",
            "{port}-{port}-{id}",
            "{port}-{id}-{port}",
            "{port}0-{id}",
            "{id}-1{port}",
            "{machine}-{id}",
            "a.{id}",
        ] {
            assert!(Shape::parse(shape).is_err(), "{shape}");
        }
    }
}
