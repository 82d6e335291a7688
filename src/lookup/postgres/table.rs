//! Where sessions are stored: a table, and what its columns are called.

use super::{
    PostgresConfigError,
    columns::Columns,
    identifier::Identifier,
    ownership::{Ownership, OwnershipNames},
    query::IdType,
};

/// The names as the builder was given them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableNames {
    pub(super) schema: Option<String>,
    pub(super) table: String,
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) status: Option<String>,
    pub(super) address: Option<String>,
    pub(super) expires_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) epoch: Option<String>,
    pub(super) attributes: Vec<String>,
    /// `None`: the epoch, if there is one, is all that is known of a session's owners.
    pub(super) ownership: Option<OwnershipNames>,
}

impl Default for TableNames {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            schema: None,
            table: name("preview_sessions"),
            id: name("id"),
            owner: name("container_id"),
            status: Some(name("status")),
            address: Some(name("container_url")),
            expires_at: Some(name("expires_at")),
            ended_at: Some(name("ended_at")),
            epoch: None,
            attributes: Vec::new(),
            ownership: None,
        }
    }
}

/// A table whose names are known to be names.
#[derive(Clone, Debug)]
pub(super) struct Table {
    schema: Option<Identifier>,
    name: Identifier,
    pub(super) id: Identifier,
    pub(super) owner: Identifier,
    pub(super) status: Option<Identifier>,
    pub(super) address: Option<Identifier>,
    pub(super) expires_at: Option<Identifier>,
    pub(super) ended_at: Option<Identifier>,
    pub(super) epoch: Option<Identifier>,
    pub(super) attributes: Vec<Identifier>,
    pub(super) ownership: Option<Ownership>,
}

impl Table {
    pub(super) fn parse(names: &TableNames) -> Result<Self, PostgresConfigError> {
        let optional = |what, name: &Option<String>| {
            name.as_deref()
                .map(|name| Identifier::parse(what, name))
                .transpose()
        };
        let mut attributes: Vec<Identifier> = Vec::new();
        for name in &names.attributes {
            let attribute = Identifier::parse("attribute column", name)?;
            if attributes.contains(&attribute) {
                return Err(PostgresConfigError::Identifier {
                    what: "attribute column",
                    name: name.clone(),
                    reason: "it is named twice",
                });
            }
            attributes.push(attribute);
        }
        let schema = optional("schema", &names.schema)?;
        let ownership = match &names.ownership {
            Some(ownership) => Some(ownership.parse(schema.as_ref(), names.epoch.as_deref())?),
            None => None,
        };
        let epoch = match &ownership {
            Some(ownership) => Some(ownership.epoch.clone()),
            None => optional("epoch column", &names.epoch)?,
        };
        Ok(Self {
            schema,
            name: Identifier::parse("table", &names.table)?,
            id: Identifier::parse("id column", &names.id)?,
            owner: Identifier::parse("owner column", &names.owner)?,
            status: optional("status column", &names.status)?,
            address: optional("address column", &names.address)?,
            expires_at: optional("expires_at column", &names.expires_at)?,
            ended_at: optional("ended_at column", &names.ended_at)?,
            epoch,
            attributes,
            ownership,
        })
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

    /// What a row of [`select`](Self::select) holds beside the owner.
    pub(super) fn columns(&self) -> Columns {
        Columns {
            status: self.status.is_some(),
            address: self.address.is_some(),
            remaining: self.expires_at.is_some() || self.ended_at.is_some(),
            epoch: self.epoch.is_some(),
            attributes: !self.attributes.is_empty(),
            ownership: self.ownership.is_some(),
        }
    }

    /// The columns that [`session_of`](Self::session_of) reads, each once.
    pub(super) fn stored(&self) -> Vec<&Identifier> {
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
        let all = std::iter::once(&self.owner)
            .chain(optional.into_iter().flatten())
            .chain(&self.attributes);
        for column in all {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    /// The owner of the row `alias` as text that is compared byte by byte, whatever the column's
    /// type and collation. The same expression is indexed.
    pub(super) fn owner_text(&self, alias: &str) -> String {
        format!("{alias}.{}::text COLLATE \"C\"", self.owner)
    }

    /// A `SELECT` of one session by `$1`, with the column names that every session query has.
    ///
    /// Texts are cast because an owner may be a `uuid` and a status an enum, and because a type
    /// that the driver does not know makes it prepare a statement, which a pooler in transaction
    /// mode answers with an error.
    pub(super) fn select(&self) -> String {
        self.select_where(format!("t.{} IS NOT NULL AS is_there", self.id), "$1")
    }

    /// The same for each of the ids in the array `$1`, with the id in column `id`.
    pub(super) fn select_any(&self, id_type: IdType) -> String {
        let id_column = format!("t.{}::{} AS id", self.id, id_type.name());
        let any = "ANY($1)";
        match &self.ownership {
            Some(_) => self.select_where(id_column, any),
            None => self.select_plainly(vec![id_column], any),
        }
    }

    /// With ownership, each row begins with whether the server is a standby, and there is one even
    /// if there is no session: what a standby says of an owner may have been true some time ago,
    /// and a machine would serve by it for as long as the standby lags. The same statement tells
    /// it, since a pooler may send the next one to another server. An outer join, because a
    /// condition that depends on no table is not looked at where the planner knows that there is no
    /// row.
    fn select_where(&self, first: String, id: &str) -> String {
        if self.ownership.is_none() {
            return self.select_plainly(Vec::new(), id);
        }
        let source = format!(
            "(SELECT pg_is_in_recovery() AS standby) AS here LEFT JOIN {}",
            self.qualified()
        );
        let session = self.session_of(vec!["here.standby".to_owned(), first], &source);
        format!("{session} ON t.{} = {id}", self.id)
    }

    fn select_plainly(&self, first: Vec<String>, id: &str) -> String {
        let session = self.session_of(first, &self.qualified());
        format!("{session} WHERE t.{} = {id}", self.id)
    }

    /// A `SELECT` of the sessions that are the rows of `source`, with these columns first.
    pub(super) fn session_of(&self, mut columns: Vec<String>, source: &str) -> String {
        columns.push(format!("t.{}::text AS owner", self.owner));
        if let Some(status) = &self.status {
            columns.push(format!("t.{status}::text AS status"));
        }
        if let Some(address) = &self.address {
            columns.push(format!("t.{address}::text AS address"));
        }
        columns.extend(self.remaining());
        if let Some(epoch) = &self.epoch {
            columns.push(format!("t.{epoch}::bigint AS epoch"));
        }
        if !self.attributes.is_empty() {
            let names: Vec<String> = self.attributes.iter().map(|a| format!("t.{a}")).collect();
            columns.push(format!(
                "(SELECT to_jsonb(a.*) FROM (SELECT {}) AS a) AS attributes",
                names.join(", ")
            ));
        }
        if let Some(ownership) = &self.ownership {
            let owner = self.owner_text("t");
            let (seen, drifted) = (ownership.seen(&owner), ownership.drifted("t", &owner));
            columns.push(format!("t.{}::bigint AS released", ownership.released));
            columns.push(format!("{drifted} AS drifted"));
            columns.push(format!("{seen} AS seen"));
        }
        format!("SELECT {} FROM {source} AS t", columns.join(", "))
    }

    /// What is left of the session's life in seconds, by the database's clock.
    ///
    /// Before `PostgreSQL` 17 the difference of infinite times is an error, so they are told apart
    /// first; NULL and `infinity` fall through every arm and yield NULL, which means no end.
    pub(super) fn remaining(&self) -> Option<String> {
        let end = self.end("t")?;
        Some(format!(
            "CASE WHEN isfinite({end}) THEN extract(epoch FROM {end} - now())::float8 \
             WHEN {end} < now() THEN 0 END AS remaining_seconds"
        ))
    }

    /// When the session ends: the earlier of the two times. `LEAST` passes over NULL.
    pub(super) fn end(&self, alias: &str) -> Option<String> {
        let times: Vec<String> = [&self.expires_at, &self.ended_at]
            .into_iter()
            .flatten()
            .map(|column| format!("{alias}.{column}"))
            .collect();
        match times.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(format!("LEAST({})", many.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_not_there_are_not_asked_for() {
        let names = TableNames {
            status: None,
            address: None,
            expires_at: None,
            ended_at: None,
            ..TableNames::default()
        };
        assert_eq!(
            Table::parse(&names).unwrap().select(),
            r#"SELECT t."container_id"::text AS owner FROM "preview_sessions" AS t WHERE t."id" = $1"#
        );
    }

    #[test]
    fn an_attribute_is_named_once() {
        let names = TableNames {
            attributes: vec!["tier".to_owned(), "tier".to_owned()],
            ..TableNames::default()
        };
        assert!(Table::parse(&names).is_err());
    }
}
