//! Where sessions are stored: a table, and what its columns are called.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    PostgresConfigError,
    id::Ids,
    identifier::Identifier,
    ownership::{Ownership, OwnershipNames},
};

/// What the columns of the sessions' table are called.
///
/// ```
/// use tower_ownership::postgres::PostgresColumns;
///
/// let columns = PostgresColumns {
///     owner: "machine_id".to_owned(),
///     address: None,
///     ..PostgresColumns::default()
/// };
/// assert_eq!(columns, "owner=machine_id,address=".parse()?);
/// # Ok::<(), tower_ownership::postgres::PostgresConfigError>(())
/// ```
///
/// Names are quoted: upper and lower case differ, nothing in a name is read as SQL, and a dot is part
/// of the name. An optional column that is `None` or empty is not there. Parsed from text, it is a list
/// of `column=name`, separated by commas; columns that are left out have their default names, as they
/// have when it is deserialized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is written with `..PostgresColumns::default()`, which a further column does not break"
)]
pub struct PostgresColumns {
    /// The session's id, a `uuid` unless
    /// [`id_type`](super::PostgresLookupBuilder::id_type) says otherwise. Default: `id`.
    pub id: String,
    /// The owner's machine id, a text or a `uuid`. Default: `container_id`.
    pub owner: String,
    /// The status, a text or an enum. Default: `status`. Without it, every row is active until it
    /// expires or ends.
    pub status: Option<String>,
    /// The owner's URL, a text. Default: `container_url`. Only redirects need it.
    pub address: Option<String>,
    /// When the session expires, a `timestamptz`. Default: `expires_at`.
    pub expires_at: Option<String>,
    /// When the session ended or will end, a `timestamptz`. Default: `ended_at`.
    pub ended_at: Option<String>,
    /// The fencing token, a whole number that rises with every change of owner. Default: none, and
    /// `owner_epoch` with [`ownership`](super::PostgresLookupBuilder::ownership).
    pub epoch: Option<String>,
    /// The release proof, a `bigint`, with ownership. Default: `owner_released`.
    pub released: String,
    /// The owner for which the trigger set the epoch, a `text`, with ownership. Default:
    /// `owner_epoch_of`.
    pub epoch_of: String,
}

impl Default for PostgresColumns {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            id: name("id"),
            owner: name("container_id"),
            status: Some(name("status")),
            address: Some(name("container_url")),
            expires_at: Some(name("expires_at")),
            ended_at: Some(name("ended_at")),
            epoch: None,
            released: name("owner_released"),
            epoch_of: name("owner_epoch_of"),
        }
    }
}

impl FromStr for PostgresColumns {
    type Err = PostgresConfigError;

    fn from_str(text: &str) -> Result<Self, PostgresConfigError> {
        let wrong = |reason| PostgresConfigError::Columns { reason };
        let mut names = serde_json::Map::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let Some((column, name)) = part.split_once('=') else {
                return Err(wrong(format!("{part:?} is not of the form column=name")));
            };
            let (column, name) = (column.trim(), name.trim());
            if names.insert(column.to_owned(), name.into()).is_some() {
                return Err(wrong(format!("{column:?} is named twice")));
            }
        }
        let columns = serde_json::from_value(names.into());
        let mut columns: Self = columns.map_err(|error| wrong(error.to_string()))?;
        for column in [
            &mut columns.status,
            &mut columns.address,
            &mut columns.expires_at,
            &mut columns.ended_at,
            &mut columns.epoch,
        ] {
            column.take_if(|name| name.is_empty());
        }
        Ok(columns)
    }
}

/// The names as the builder was given them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableNames {
    pub(super) schema: Option<String>,
    pub(super) table: String,
    pub(super) columns: PostgresColumns,
    pub(super) attributes: Vec<String>,
    pub(super) insert_columns: Vec<String>,
    /// `None`: the epoch, if there is one, is all that is known of a session's owners.
    pub(super) ownership: Option<OwnershipNames>,
}

impl Default for TableNames {
    fn default() -> Self {
        Self {
            schema: None,
            table: "preview_sessions".to_owned(),
            columns: PostgresColumns::default(),
            attributes: Vec::new(),
            insert_columns: Vec::new(),
            ownership: None,
        }
    }
}

/// A table whose names are known to be names.
#[derive(Clone, Debug)]
pub(super) struct Table {
    schema: Option<Identifier>,
    name: Identifier,
    pub(super) ids: Ids,
    pub(super) id: Identifier,
    pub(super) owner: Identifier,
    pub(super) status: Option<Identifier>,
    pub(super) address: Option<Identifier>,
    pub(super) expires_at: Option<Identifier>,
    pub(super) ended_at: Option<Identifier>,
    pub(super) epoch: Option<Identifier>,
    pub(super) attributes: Vec<Identifier>,
    /// Further columns that a new row needs.
    pub(super) insert_columns: Vec<Identifier>,
    pub(super) ownership: Option<Ownership>,
}

impl Table {
    pub(super) fn parse(names: &TableNames, ids: Ids) -> Result<Self, PostgresConfigError> {
        let optional = |what, name: &Option<String>| {
            let name = name.as_deref().filter(|name| !name.is_empty());
            name.map(|name| Identifier::parse(what, name)).transpose()
        };
        let attributes = distinct("attribute column", &names.attributes)?;
        let insert_columns = distinct("insert column", &names.insert_columns)?;
        let (columns, schema) = (&names.columns, optional("schema", &names.schema)?);
        let mut epoch = optional("epoch column", &columns.epoch)?;
        let ownership = match &names.ownership {
            Some(ownership) => {
                let ownership = ownership.parse(schema.as_ref(), columns, epoch)?;
                epoch = Some(ownership.epoch.clone());
                Some(ownership)
            }
            None => None,
        };
        let table = Self {
            schema,
            name: Identifier::parse("table", &names.table)?,
            ids,
            id: Identifier::parse("id column", &columns.id)?,
            owner: Identifier::parse("owner column", &columns.owner)?,
            status: optional("status column", &columns.status)?,
            address: optional("address column", &columns.address)?,
            expires_at: optional("expires_at column", &columns.expires_at)?,
            ended_at: optional("ended_at column", &columns.ended_at)?,
            epoch,
            attributes,
            insert_columns,
            ownership,
        };
        let ours = table.facts();
        if let Some(column) = table.insert_columns.iter().find(|one| ours.contains(one)) {
            return Err(PostgresConfigError::Identifier {
                what: "insert column",
                name: column.name().to_owned(),
                reason: "it is written anyway",
            });
        }
        Ok(table)
    }

    /// The quoted name, with the schema if there is one: `"public"."preview_sessions"`.
    pub(super) fn qualified(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.to_string(),
        }
    }

    pub(super) fn schema(&self) -> Option<&Identifier> {
        self.schema.as_ref()
    }

    /// The name of something that belongs to the table.
    pub(super) fn suffixed(&self, suffix: &str) -> Identifier {
        self.name.suffixed(suffix)
    }

    /// The columns from which a session is read, each once.
    pub(super) fn stored(&self) -> Vec<&Identifier> {
        let mut columns = self.facts();
        for attribute in &self.attributes {
            if !columns.contains(&attribute) {
                columns.push(attribute);
            }
        }
        columns
    }

    /// The same without those that are only attributes.
    pub(super) fn facts(&self) -> Vec<&Identifier> {
        let optional = [
            self.status.as_ref(),
            self.address.as_ref(),
            self.expires_at.as_ref(),
            self.ended_at.as_ref(),
            self.epoch.as_ref(),
            self.ownership.as_ref().map(|ownership| &ownership.released),
            self.ownership.as_ref().map(|ownership| &ownership.epoch_of),
        ];
        let mut columns = vec![&self.id];
        let all = std::iter::once(&self.owner).chain(optional.into_iter().flatten());
        for column in all {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    /// The owner of the row `alias`, as the index of owners has it.
    pub(super) fn owner_text(&self, alias: &str) -> String {
        format!("{alias}.{}::text COLLATE \"C\"", self.owner)
    }
}

/// Names of columns, each once.
fn distinct(what: &'static str, names: &[String]) -> Result<Vec<Identifier>, PostgresConfigError> {
    let mut columns: Vec<Identifier> = Vec::new();
    for name in names {
        let column = Identifier::parse(what, name)?;
        if columns.contains(&column) {
            return Err(PostgresConfigError::Identifier {
                what,
                name: name.clone(),
                reason: "it is named twice",
            });
        }
        columns.push(column);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_named_once() {
        let names = TableNames {
            attributes: vec!["tier".to_owned(), "tier".to_owned()],
            ..TableNames::default()
        };
        assert!(Table::parse(&names, Ids::default()).is_err());
    }

    #[test]
    fn an_insert_column_is_none_that_is_written_anyway() {
        let parse = |column: &str| {
            let names = TableNames {
                insert_columns: vec![column.to_owned()],
                ..TableNames::default()
            };
            Table::parse(&names, Ids::default())
        };
        assert!(parse("tenant").is_ok());
        for column in ["id", "container_id", "expires_at"] {
            assert!(parse(column).is_err(), "{column}");
        }
    }

    #[test]
    fn columns_are_read_from_text() {
        let parse = |text: &str| text.parse::<PostgresColumns>();
        assert_eq!(parse("").unwrap(), PostgresColumns::default());
        let columns = parse(" owner = machine, expires_at=,").unwrap();
        assert_eq!(
            (columns.owner.as_str(), columns.expires_at),
            ("machine", None)
        );
        for (text, why) in [
            ("owner", "column=name"),
            ("ownr=machine", "unknown field `ownr`"),
            ("owner=a,owner=b", "twice"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
