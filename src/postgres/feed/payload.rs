//! What notifications say.

use crate::{SessionId, postgres::id::Ids};

/// What stands on the channel. Everything else is unreadable: any role that may connect to the database
/// may write here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// `1 <session>`: this session changed.
    Session(SessionId),
    /// `2 <session>`, and more of them, each on a line: these sessions changed, as a reader of the
    /// change log says; and the lengths of those that cannot be read.
    Sessions(Vec<SessionId>, Vec<usize>),
    /// `0 read`: a reader of the change log is there, and there is nothing new.
    Reader,
    /// `1 *`: all of them may have.
    All,
    /// `0 beat <16 hexadecimal digits>`: a feed listens to itself.
    Beat(u64),
}

impl Payload {
    pub(super) fn parse(text: &str, ids: Ids) -> Option<Self> {
        if let Some(number) = text.strip_prefix("0 beat ") {
            let is_strict =
                number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u64::from_str_radix(number, 16).ok();
            return number.filter(|_| is_strict).map(Self::Beat);
        }
        if text == "0 read" {
            return Some(Self::Reader);
        }
        if let Some(lines) = text.strip_prefix("2 ") {
            let (mut sessions, mut unreadable) = (Vec::new(), Vec::new());
            for id in lines.split('\n') {
                match ids.notified(id) {
                    Some(id) => sessions.push(id),
                    None => unreadable.push(id.len()),
                }
            }
            return Some(Self::Sessions(sessions, unreadable));
        }
        match text.strip_prefix("1 ")? {
            // Also if that is the id of a session.
            "*" => Some(Self::All),
            id => ids.notified(id).map(Self::Session),
        }
    }

    pub(super) fn beat(number: u64) -> String {
        format!("0 beat {number:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::PostgresIdType;

    const ID: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";

    fn parse(text: &str) -> Option<Payload> {
        Payload::parse(text, Ids::new(PostgresIdType::Uuid, None))
    }

    #[test]
    fn what_was_written_is_read() {
        let id = ID.parse().unwrap();
        assert_eq!(parse(&format!("1 {ID}")), Some(Payload::Session(id)));
        assert_eq!(parse("1 *"), Some(Payload::All));
        for number in [0, 0xabc, u64::MAX] {
            let beat = parse(&Payload::beat(number));
            assert_eq!(beat, Some(Payload::Beat(number)));
        }
    }

    #[test]
    fn a_batch_is_read_but_for_what_is_no_id() {
        let id: SessionId = ID.parse().unwrap();
        let batch = format!("2 {ID}\nnone\n{}\n", ID.to_uppercase());
        let read = Payload::Sessions(vec![id.clone(), id], vec![4, 0]);
        assert_eq!(parse(&batch), Some(read));
        assert_eq!(parse("0 read"), Some(Payload::Reader));
    }

    #[test]
    fn everything_else_is_unreadable() {
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
            "3 *",
            "0 read ",
            "0 beat",
            "0 beat 1",
            "0 beat +000000000000001",
            "0 beat 00000000000000001",
            "0 *",
            &format!("0 {ID}"),
            &format!("3 {ID}"),
            &format!("1 {ID} "),
            &format!("1 {ID}\n"),
            &format!("1 {{{ID}}}"),
            &format!("1 {ID} {ID}"),
            &format!("1 {}", &ID[1..]),
            &"x".repeat(7_999),
            "1 ä-ö",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
