//! What each column has to be.

use super::{fault::PostgresFault, table::Table};

/// A column that a session query needs, and the types it may have, as `format_type` writes them.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    role: &'static str,
    types: &'static [&'static str],
}

const TEXTS: [&str; 5] = ["text", "character varying", "character", "citext", "name"];
const STATUS: &[&str] = &[TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], TEXTS[4], "enum"];
const ADDRESS: &[&str] = &TEXTS;
const OWNER: &[&str] = &[
    TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3], TEXTS[4], "uuid", "bigint", "integer",
];
const WHOLE: &[&str] = &["bigint", "integer", "smallint"];
const SECONDS: &[&str] = &[
    "double precision",
    "numeric",
    "real",
    "bigint",
    "integer",
    "smallint",
];
const DOCUMENT: &[&str] = &["jsonb", "json"];
const ZONED: &str = "timestamp with time zone";
const TIMES: &[&str] = &[ZONED, "timestamp without time zone", "date"];
const ANY: &[&str] = &[];

impl Column {
    fn new(name: &str, role: &'static str, types: &'static [&'static str]) -> Self {
        Self {
            name: name.to_owned(),
            role,
            types,
        }
    }

    /// The columns of a table.
    pub(super) fn of_table(table: &Table) -> Vec<Self> {
        let mut columns = vec![
            Self::new(table.id.name(), "session id", table.ids.column.accepted()),
            Self::new(table.owner.name(), "owner", OWNER),
        ];
        for (name, role, types) in [
            (&table.status, "status", STATUS),
            (&table.address, "owner's address", ADDRESS),
            (&table.expires_at, "time of expiry", TIMES),
            (&table.ended_at, "time of its end", TIMES),
            (&table.epoch, "epoch", WHOLE),
        ] {
            columns.extend(name.iter().map(|name| Self::new(name.name(), role, types)));
        }
        if let Some(ownership) = &table.ownership {
            let released = ownership.released.name();
            columns.push(Self::new(released, "release proof", WHOLE));
            let epoch_of = ownership.epoch_of.name();
            columns.push(Self::new(epoch_of, "owner of the epoch", ADDRESS));
        }
        let attributes = table.attributes.iter();
        columns.extend(attributes.map(|name| Self::new(name.name(), "attribute", ANY)));
        columns
    }

    /// The columns of a custom query: those it must return, and those it may.
    pub(super) fn of_query() -> ([Self; 2], [Self; 6]) {
        (
            [
                Self::new("owner", "owner", OWNER),
                Self::new("status", "status", STATUS),
            ],
            [
                Self::new("address", "owner's address", ADDRESS),
                Self::new("remaining_seconds", "remaining life", SECONDS),
                Self::new("epoch", "epoch", WHOLE),
                Self::new("attributes", "attributes", DOCUMENT),
                Self::new("released", "release proof", WHOLE),
                Self::new("presence", "owner's presence", ADDRESS),
            ],
        )
    }

    /// What is wrong with the column, if its type is `found`.
    pub(super) fn fault(&self, place: &str, found: Option<&str>) -> Option<PostgresFault> {
        let (place, column, role) = (place.to_owned(), self.name.clone(), self.role);
        match found {
            None => Some(PostgresFault::NoColumn {
                place,
                column,
                role,
            }),
            Some(found) if self.types.is_empty() || self.types.contains(&found) => None,
            Some(found) => Some(PostgresFault::ColumnType {
                place,
                column,
                role,
                found: found.to_owned(),
                wanted: self.types.first().copied().unwrap_or_default(),
            }),
        }
    }

    /// Whether a time of this type needs the connection's time zone to be read.
    pub(super) fn lacks_zone(&self, found: &str) -> bool {
        self.types == TIMES && found != ZONED
    }
}
