//! What notifications say.

use crate::SessionId;

/// Version 1 of what stands on the channel. Everything else is garbage: any role that may connect
/// to the database may notify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// `1 <session>`: this session changed.
    Session(SessionId),
    /// `1 *`: all of them may have.
    All,
    /// `1 beat <16 hexadecimal digits>`: a watch listens to itself.
    Beat(u64),
}

impl Payload {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let said = text.strip_prefix("1 ")?;
        if said == "*" {
            return Some(Self::All);
        }
        let Some(number) = said.strip_prefix("beat ") else {
            return SessionId::parse(said).ok().map(Self::Session);
        };
        let is_strict = number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_strict {
            return None;
        }
        u64::from_str_radix(number, 16).ok().map(Self::Beat)
    }

    pub(super) fn beat(number: u64) -> String {
        format!("1 beat {number:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    #[test]
    fn what_was_written_is_read() {
        let id = ID.parse().unwrap();
        assert_eq!(
            Payload::parse(&format!("1 {ID}")),
            Some(Payload::Session(id))
        );
        assert_eq!(Payload::parse("1 *"), Some(Payload::All));
        for number in [0, 0xabc, u64::MAX] {
            let beat = Payload::parse(&Payload::beat(number));
            assert_eq!(beat, Some(Payload::Beat(number)));
        }
    }

    #[test]
    fn everything_else_is_garbage() {
        for text in [
            "",
            "1",
            "1 ",
            "*",
            ID,
            "1  *",
            "1 * ",
            "1 **",
            " 1 *",
            "1\t*",
            "01 *",
            "2 *",
            "1 beat",
            "1 beat 1",
            "1 beat +000000000000001",
            "1 beat 00000000000000001",
            &format!("2 {ID}"),
            &format!("1 {ID} "),
            &format!("1 {ID}\n"),
            &format!("1 {{{ID}}}"),
            &format!("1 {ID} {ID}"),
            &format!("1 {}", &ID[1..]),
            &"x".repeat(7_999),
            "1 ä-ö",
        ] {
            assert_eq!(Payload::parse(text), None, "{text:?}");
        }
    }
}
