//! How session ids stand in the database.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::connections::Parameter;
use crate::{SessionId, SessionIds};

/// The type of the column that holds session ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PostgresIdType {
    /// `uuid`. Ids are [`SessionIds::uuid`].
    #[default]
    Uuid,
    /// `text` or `varchar`. Ids are any text, unless
    /// [`session_ids`](super::PostgresLookupBuilder::session_ids) says otherwise. The column's collation has to
    /// be deterministic, as all are by default: ids are compared byte by byte.
    Text,
    /// `char(n)`. As `text`; the blanks that the column adds are no part of an id, so no id
    /// ends in one.
    Char,
    /// `bigint` or `integer`. Ids are [`SessionIds::integer`].
    Bigint,
    /// `bytea`, which holds the text of the id in UTF-8. Ids are as for `text`.
    Bytea,
}

impl PostgresIdType {
    /// What an id is cast to where it is read.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Text | Self::Char => "text",
            Self::Bigint => "bigint",
            Self::Bytea => "bytea",
        }
    }

    /// The types that the column may have, as `format_type` writes them.
    pub(super) fn accepted(self) -> &'static [&'static str] {
        match self {
            Self::Uuid => &["uuid"],
            Self::Text => &["text", "character varying"],
            Self::Char => &["character"],
            Self::Bigint => &["bigint", "integer"],
            Self::Bytea => &["bytea"],
        }
    }

    /// The expression that a notification holds, of the column of a trigger's row.
    pub(super) fn notified(self) -> &'static str {
        match self {
            // As text, bytes depend on a setting of the session.
            Self::Bytea => "pg_catalog.encode($.{id}, 'hex')",
            _ => "$.{id}::pg_catalog.text",
        }
    }

    fn kind(self) -> Type {
        match self {
            Self::Uuid => Type::UUID,
            Self::Text => Type::TEXT,
            Self::Char => Type::BPCHAR,
            Self::Bigint => Type::INT8,
            Self::Bytea => Type::BYTEA,
        }
    }

    fn kind_of_many(self) -> Type {
        match self {
            Self::Uuid => Type::UUID_ARRAY,
            Self::Text => Type::TEXT_ARRAY,
            Self::Char => Type::BPCHAR_ARRAY,
            Self::Bigint => Type::INT8_ARRAY,
            Self::Bytea => Type::BYTEA_ARRAY,
        }
    }
}

/// The ids of a table's sessions, and how they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) column: PostgresIdType,
    pub(super) sessions: SessionIds,
}

impl Default for Ids {
    fn default() -> Self {
        Self::new(PostgresIdType::default(), None)
    }
}

impl Ids {
    pub(super) fn new(column: PostgresIdType, sessions: Option<SessionIds>) -> Self {
        let by_column = match column {
            PostgresIdType::Uuid => SessionIds::uuid(),
            PostgresIdType::Bigint => SessionIds::integer(),
            PostgresIdType::Text | PostgresIdType::Char | PostgresIdType::Bytea => {
                SessionIds::text()
            }
        };
        Self {
            column,
            sessions: sessions.unwrap_or(by_column),
        }
    }

    /// An id that the column can hold, of a session that is not there.
    pub(super) fn sample(self) -> SessionId {
        match self.column {
            PostgresIdType::Bigint => SessionIds::integer().sample(),
            _ => SessionId::new(Uuid::nil()),
        }
    }

    /// The id as a parameter; `None` if the column cannot hold it.
    pub(super) fn value(self, id: &SessionId) -> Option<IdValue> {
        let value = match self.column {
            PostgresIdType::Uuid => Value::Uuid(*id.as_uuid()?),
            PostgresIdType::Text | PostgresIdType::Char => Value::Text(self.text(id)?),
            PostgresIdType::Bigint => Value::Number(number(id)?),
            PostgresIdType::Bytea => Value::Bytes(bytes(id)),
        };
        let kind = self.column.kind();
        Some(IdValue { value, kind })
    }

    /// The ids as one parameter, without those that the column cannot hold.
    pub(super) fn values(self, ids: &[SessionId]) -> IdValue {
        let ids = ids.iter();
        let value = match self.column {
            PostgresIdType::Uuid => {
                Value::Uuids(ids.filter_map(|id| id.as_uuid().copied()).collect())
            }
            PostgresIdType::Text | PostgresIdType::Char => {
                Value::Texts(ids.filter_map(|id| self.text(id)).collect())
            }
            PostgresIdType::Bigint => Value::Numbers(ids.filter_map(number).collect()),
            PostgresIdType::Bytea => Value::ManyBytes(ids.map(bytes).collect()),
        };
        let kind = self.column.kind_of_many();
        IdValue { value, kind }
    }

    fn text(self, id: &SessionId) -> Option<String> {
        let text = id.to_string();
        (self.column != PostgresIdType::Char || !text.ends_with(' ')).then_some(text)
    }

    /// A part of an id, in the form in which a notification tells of it.
    #[cfg(feature = "doctor")]
    pub(super) fn notified_part(self, part: &str) -> String {
        match self.column {
            PostgresIdType::Bytea => part
                .bytes()
                .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
            _ => part.to_owned(),
        }
    }

    /// The id that a notification tells of.
    pub(super) fn notified(self, text: &str) -> Option<SessionId> {
        let id = match self.column {
            PostgresIdType::Bytea => SessionId::parse_bytes(&unhex(text)?),
            _ => SessionId::parse(text),
        };
        self.sessions.admit(id.ok()?)
    }
}

fn number(id: &SessionId) -> Option<i64> {
    let id = SessionIds::integer().admit(id.clone())?;
    id.with_text(|text| text.parse().ok())
}

fn bytes(id: &SessionId) -> Vec<u8> {
    id.with_text(|text| text.as_bytes().to_vec())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |&[high, low]: &[u8; 2]| u8::try_from(digit(high)? << 4 | digit(low)?).ok();
    pairs.iter().map(byte).collect()
}

/// A session's id, or those of many, as the parameter of a statement.
#[derive(Debug)]
pub(super) struct IdValue {
    value: Value,
    kind: Type,
}

#[derive(Debug)]
enum Value {
    Uuid(Uuid),
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
    Uuids(Vec<Uuid>),
    Texts(Vec<String>),
    Numbers(Vec<i64>),
    ManyBytes(Vec<Vec<u8>>),
}

impl IdValue {
    pub(super) fn parameter(&self) -> Parameter<'_> {
        let value: &(dyn ToSql + Sync) = match &self.value {
            Value::Uuid(uuid) => uuid,
            Value::Text(text) => text,
            Value::Number(number) => number,
            Value::Bytes(bytes) => bytes,
            Value::Uuids(uuids) => uuids,
            Value::Texts(texts) => texts,
            Value::Numbers(numbers) => numbers,
            Value::ManyBytes(bytes) => bytes,
        };
        (value, self.kind.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(column: PostgresIdType) -> Ids {
        Ids::new(column, None)
    }

    fn fits(column: PostgresIdType, id: &str) -> bool {
        let id = id.parse().unwrap();
        let many = format!("{:?}", ids(column).values(std::slice::from_ref(&id)).value);
        let one = ids(column).value(&id).is_some();
        assert_eq!(one, !many.ends_with("([])"), "{many}");
        one
    }

    #[test]
    fn an_id_that_the_column_cannot_hold_has_no_value() {
        use PostgresIdType::{Bigint, Bytea, Char, Text, Uuid};
        for (id, fitting) in [
            (
                "807efe44-d63e-4a24-88f5-dbe96112830a",
                &[Uuid, Text, Char, Bytea][..],
            ),
            ("lobby", &[Text, Char, Bytea]),
            ("lobby ", &[Text, Bytea]),
            ("42", &[Text, Char, Bytea, Bigint]),
        ] {
            for column in [Uuid, Text, Char, Bytea, Bigint] {
                assert_eq!(
                    fits(column, id),
                    fitting.contains(&column),
                    "{column:?} {id:?}"
                );
            }
        }
    }

    #[test]
    fn a_notification_tells_of_an_id_in_any_spelling() {
        let id = "807efe44-d63e-4a24-88f5-dbe96112830a";
        let notified = |column, text: &str| ids(column).notified(text).map(|id| id.to_string());
        let uuid = notified(PostgresIdType::Uuid, &id.replace('-', "").to_uppercase());
        assert_eq!(uuid.as_deref(), Some(id));
        let text = notified(PostgresIdType::Text, "the blue room");
        assert_eq!(text.as_deref(), Some("the blue room"));
        let bytes = notified(PostgresIdType::Bytea, "6c6f626279");
        assert_eq!(bytes.as_deref(), Some("lobby"));
        for unreadable in ["6c6", "6c6\u{e9}", "xx", "ff", ""] {
            assert_eq!(
                notified(PostgresIdType::Bytea, unreadable),
                None,
                "{unreadable}"
            );
        }
    }
}
