//! The one question that a lookup asks.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::SessionId;

use super::{PostgresConfigError, connections::Parameter, table::Table};

/// How the session's id is written in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum IdType {
    #[default]
    Uuid,
    /// Hyphenated and in lower case.
    Text,
}

/// A statement that returns a session as one JSON document.
///
/// One document, because a custom query may leave columns out and may return whatever types it
/// likes: the names are looked up in the document, and the database has done every conversion.
#[derive(Clone, Debug)]
pub(super) struct SessionQuery {
    inner: String,
    sql: String,
    id_type: IdType,
}

impl SessionQuery {
    pub(super) fn of_table(table: &Table, id_type: IdType) -> Self {
        Self::new(table.select(), id_type)
    }

    /// Checks only what would otherwise surprise at the first request: the rest is the database's
    /// to judge, in `verify`.
    pub(super) fn custom(text: &str, id_type: IdType) -> Result<Self, PostgresConfigError> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.contains('\0') {
            "it contains a NUL"
        } else if !text.contains("$1") {
            "it does not ask for the session's id, which is its parameter $1"
        } else {
            return Ok(Self::new(text.to_owned(), id_type));
        };
        Err(PostgresConfigError::Query { reason })
    }

    fn new(inner: String, id_type: IdType) -> Self {
        // The line breaks keep a trailing comment of a custom query from swallowing the rest. Two
        // rows are enough to see that there is more than one. `session.*` and not `session`, which
        // could be a column of the query.
        let sql = format!("SELECT to_jsonb(session.*) FROM (\n{inner}\n) AS session LIMIT 2");
        Self {
            inner,
            sql,
            id_type,
        }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// The statement without its wrapping.
    pub(super) fn inner(&self) -> &str {
        &self.inner
    }

    pub(super) fn id_type(&self) -> IdType {
        self.id_type
    }

    pub(super) fn id(&self, id: SessionId) -> IdValue {
        match self.id_type {
            IdType::Uuid => IdValue::Uuid(*id.as_uuid()),
            IdType::Text => IdValue::Text(id.to_string()),
        }
    }
}

/// A session's id as the parameter of a query.
#[derive(Debug)]
pub(super) enum IdValue {
    Uuid(Uuid),
    Text(String),
}

impl IdValue {
    pub(super) fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Uuid(uuid) => (uuid as &(dyn ToSql + Sync), Type::UUID),
            Self::Text(text) => (text as &(dyn ToSql + Sync), Type::TEXT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_query_may_end_as_people_end_them() {
        for text in [
            "select owner, status from s where id = $1;",
            "select owner, status from s where id = $1 ;\n",
            "select owner, status from s where id = $1 -- by its key",
        ] {
            let query = SessionQuery::custom(text, IdType::Uuid).unwrap();
            assert!(query.sql().ends_with("\n) AS session LIMIT 2"), "{text}");
            assert!(!query.sql().contains(';'), "{text}");
        }
    }

    #[test]
    fn a_query_that_cannot_find_a_session_is_refused() {
        for text in ["", " ; ", "select owner from s", "select $1 \0"] {
            assert!(SessionQuery::custom(text, IdType::Uuid).is_err(), "{text}");
        }
    }
}
