//! Whether two machine ids could come from the same platform.

use std::collections::BTreeSet;

/// What an id looks like, without what makes it one machine's.
///
/// It only has to tell the usual mix-ups apart: a hostname (`web-0`) beside a platform's id
/// (`e2863555a91708`), a task's ARN beside its UUID, an address beside a name. It must not tell
/// two pods of two deployments apart, so it looks at no word and at few lengths.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Uuid,
    /// One run of hexadecimal digits, of a length. Eight or more, for `abba` is a name.
    Hexadecimal(usize),
    /// Words between separators.
    Words {
        separators: BTreeSet<char>,
        /// `web-0`, `web.1`, `10.0.0.7`: the last word counts something.
        counted: bool,
    },
}

fn shape(id: &str) -> Shape {
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words: Vec<&str> = id.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let lengths: Vec<usize> = words.iter().map(|word| word.len()).collect();
    let all_hexadecimal = words.iter().all(|word| hexadecimal(word));
    match (lengths.as_slice(), all_hexadecimal) {
        ([8, 4, 4, 4, 12], true) => Shape::Uuid,
        ([length], true) if *length >= 8 => Shape::Hexadecimal(*length),
        _ => Shape::Words {
            separators: id.chars().filter(|c| !c.is_ascii_alphanumeric()).collect(),
            counted: words
                .last()
                .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())),
        },
    }
}

impl Shape {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            // A number that is printed without its leading zeros is a digit shorter.
            (Self::Hexadecimal(one), Self::Hexadecimal(other)) => one.abs_diff(*other) <= 1,
            (one, other) => one == other,
        }
    }
}

/// Whether the two look alike.
pub(crate) fn alike(one: &str, other: &str) -> bool {
    shape(one).is_like(&shape(other))
}

/// What many ids look like: each form once, and there are few.
#[cfg(feature = "postgres")]
#[derive(Debug, Default)]
pub(crate) struct Shapes(BTreeSet<Shape>);

#[cfg(feature = "postgres")]
impl Shapes {
    pub(crate) fn add(&mut self, id: &str) {
        self.0.insert(shape(id));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them looks like this id.
    pub(crate) fn have_one_like(&self, id: &str) -> bool {
        let shape = shape(id);
        self.0.iter().any(|known| known.is_like(&shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_platform_are_alike() {
        for (one, other) in [
            ("e2863555a91708", "148ed599c14189"),
            ("e2863555a91708", "48ed599c14189"),
            ("web-0", "web-11"),
            ("web-7d9f8b6c5-x2x9z", "api-gateway-5c6d7f8b9-abcde"),
            ("web.1", "web.2"),
            (
                "8f03e412-4382-4aea-923a-ca126495f665",
                "807efe44-d63e-4a24-88f5-dbe96112830a",
            ),
            ("10.0.0.7:8080", "10.12.0.250:8080"),
            ("m1", "machine2"),
        ] {
            assert!(alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_hostname_is_not_like_a_platforms_id() {
        let ids = [
            "e2863555a91708",
            "3f4e1a2b9c8d",
            "web-0",
            "web-7d9f8b6c5-x2x9z",
            "web.1",
            "8f03e412-4382-4aea-923a-ca126495f665",
            "arn:aws:ecs:us-west-2:111122223333:task/default/8f03e41243824aea923aca126495f665",
            "10.0.0.7:8080",
            "machine1",
        ];
        for (at, one) in ids.iter().enumerate() {
            for other in &ids[..at] {
                assert!(!alike(one, other), "{one} {other}");
            }
        }
    }
}
