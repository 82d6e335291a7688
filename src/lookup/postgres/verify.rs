//! Looking at the database before the first request does.

use std::collections::HashMap;

use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

use crate::{LookupError, MachineId, SessionId, SessionStatus, machine::shape::alike};

use super::{
    PostgresLookup,
    column::Column,
    fault::{PostgresFault, PostgresVerified, PostgresVerifyError, PostgresWarning},
    table::Table,
};

mod ownership;
mod setup;

/// The name of the type `t`, by which [`Column`] judges it: a domain is what it is made of.
const TYPE_NAME: &str = "CASE t.typtype WHEN 'e' THEN 'enum' \
     WHEN 'd' THEN format_type(t.typbasetype, NULL) ELSE format_type(t.oid, NULL) END";

impl PostgresLookup {
    /// Connects, and checks that sessions are stored as configured. Ask before the server takes
    /// its first request, and do not start on an error: a misspelt column would otherwise be a
    /// 503 for every request.
    ///
    /// Each step is bounded like a lookup, and nothing is written. It checks that
    /// - the table is there, each column is there, and each is of a type that can hold what it
    ///   should (for a custom query: that it runs, and what it returns);
    /// - with [ownership](super::PostgresLookupBuilder::ownership), what its migration makes is there;
    /// - the session query itself runs, with this user's rights;
    ///
    /// and it warns (see [`PostgresWarning`]) when lookups would work, but probably not as meant;
    /// above all when the stored owners do not look like `me`. A sample of 100 active sessions is
    /// read for that, and none for a custom query, of which no table is known.
    pub async fn verify(&self, me: &MachineId) -> Result<PostgresVerified, PostgresVerifyError> {
        let mut warnings = Vec::new();
        if let Some(table) = &self.inner.table {
            self.verify_table(table, &mut warnings).await?;
            // A table of millions, most of them over, may be too slow to sample; lookups are by
            // key and are not.
            if let Err(error) = self.sample(table, me, &mut warnings).await {
                let error = error.to_string();
                warnings.push(PostgresWarning::NoSample { error });
            }
        } else {
            self.verify_query(self.inner.query.application().unwrap_or_default())
                .await?;
        }
        // The real statement, with the rights it really has, for a session that cannot be.
        let nobody = SessionId::new(Uuid::nil());
        let deadline = self.inner.connections.deadline();
        self.inner.ask(nobody, deadline).await?;
        self.inner.try_batch(nobody).await?;
        for warning in &warnings {
            tracing::warn!(target: "tower_ownership", "{warning}");
        }
        Ok(PostgresVerified { warnings })
    }

    async fn verify_table(
        &self,
        table: &Table,
        warnings: &mut Vec<PostgresWarning>,
    ) -> Result<(), PostgresVerifyError> {
        let name = table.qualified();
        let sql = format!(
            "SELECT a.attname::text, {TYPE_NAME} \
             FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid \
             WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped"
        );
        let rows = self.rows(&sql, &name).await?;
        if rows.is_empty() {
            let faults = vec![PostgresFault::NoTable { table: name }];
            return Err(PostgresVerifyError::Faults(faults));
        }
        let mut found = HashMap::new();
        for row in rows {
            found.insert(text(&row, 0)?, text(&row, 1)?);
        }
        let columns = Column::of_table(table, self.inner.query.id_type());
        let type_of = |column: &Column| found.get(&column.name).map(String::as_str);
        let mut faults: Vec<PostgresFault> = columns
            .iter()
            .filter_map(|column| column.fault(&name, type_of(column)))
            .collect();
        if let Some(ownership) = &table.ownership {
            ownership::not_migrated(ownership, &mut faults);
            faults.extend(self.verify_ownership(table, ownership, warnings).await?);
        }
        if !faults.is_empty() {
            return Err(PostgresVerifyError::Faults(faults));
        }
        for column in columns {
            if let Some(found) = found.get(&column.name).filter(|f| column.lacks_zone(f)) {
                warnings.push(PostgresWarning::NoTimeZone {
                    found: found.clone(),
                    column: column.name,
                });
            }
        }
        self.verify_index(table, name, warnings).await?;
        if let Some(ownership) = &table.ownership {
            self.verify_setup(table, ownership, warnings).await?;
        }
        Ok(())
    }

    async fn verify_index(
        &self,
        table: &Table,
        name: String,
        warnings: &mut Vec<PostgresWarning>,
    ) -> Result<(), LookupError> {
        // A view has no index of its own, and what is below it is not ours to judge.
        let sql = "SELECT a.attname::text FROM pg_class AS c \
             LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL \
             LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] \
             WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'm')";
        let rows = self.rows(sql, &name).await?;
        let begins_with_id = |row: &Row| {
            let first: Option<&str> = row.try_get(0).ok().flatten();
            first == Some(table.id.name())
        };
        if !rows.is_empty() && !rows.iter().any(begins_with_id) {
            warnings.push(PostgresWarning::NoIndex {
                table: name,
                column: table.id.name().to_owned(),
            });
        }
        Ok(())
    }

    async fn sample(
        &self,
        table: &Table,
        me: &MachineId,
        warnings: &mut Vec<PostgresWarning>,
    ) -> Result<(), LookupError> {
        let (name, owner) = (table.qualified(), &table.owner);
        let statuses = self.inner.statuses.as_ref();
        let active = statuses.map_or_else(Vec::new, |statuses| statuses.active.clone());
        // Without a status every row is active, and the parameter has nothing to say.
        let condition = match &table.status {
            Some(status) => format!("t.{status}::text = ANY($1)"),
            None => "$1 IS NOT NULL".to_owned(),
        };
        let sql = format!(
            "SELECT DISTINCT owner FROM (SELECT t.{owner}::text AS owner FROM {name} AS t \
             WHERE {condition} AND t.{owner} IS NOT NULL LIMIT 100) AS sample"
        );
        let rows = self
            .inner
            .connections
            .query(&sql, &[(&active, Type::TEXT_ARRAY)])
            .await?;
        let owners: Vec<String> = rows
            .iter()
            .map(|row| text(row, 0))
            .collect::<Result<_, _>>()?;
        if let Some(stored) = owners
            .iter()
            .find(|stored| MachineId::parse(stored).is_err())
        {
            let stored = stored.clone();
            warnings.push(PostgresWarning::UnusableOwner { stored });
        } else if let Some(stored) = owners.first()
            && !owners.iter().any(|stored| alike(stored, me.as_str()))
        {
            warnings.push(PostgresWarning::ForeignOwners {
                stored: stored.clone(),
                machine: me.clone(),
            });
        }
        let (Some(status), Some(statuses), true) = (&table.status, statuses, owners.is_empty())
        else {
            return Ok(());
        };
        let sql = format!(
            "SELECT DISTINCT status FROM (SELECT t.{status}::text AS status FROM {name} AS t \
             WHERE t.{status} IS NOT NULL LIMIT 1000) AS sample ORDER BY status"
        );
        let rows = self.inner.connections.query(&sql, &[]).await?;
        let found: Vec<String> = rows
            .iter()
            .map(|row| text(row, 0))
            .collect::<Result<_, _>>()?;
        let lives = |word: &String| {
            matches!(
                statuses.read(word),
                Some(SessionStatus::Active | SessionStatus::Starting)
            )
        };
        if !found.is_empty() && !found.iter().any(lives) {
            warnings.push(PostgresWarning::NoLivingSession { statuses: found });
        }
        Ok(())
    }

    /// A query without rows still has columns: the outer join turns them into one row.
    async fn verify_query(&self, query: &str) -> Result<(), PostgresVerifyError> {
        const PLACE: &str = "the session query";
        let id = self.inner.query.id(SessionId::new(Uuid::nil()));
        let outer = format!("FROM (SELECT 1) AS one LEFT JOIN (\n{query}\n) AS s ON true LIMIT 1");
        let sql = format!("SELECT jsonb_object_keys(to_jsonb(r.*)) FROM (SELECT s.* {outer}) AS r");
        let connections = &self.inner.connections;
        let rows = connections.query(&sql, &[id.parameter()]).await?;
        let names: Vec<String> = rows
            .iter()
            .map(|row| text(row, 0))
            .collect::<Result<_, _>>()?;

        let (needed, optional) = Column::of_query();
        let missing = needed.iter().filter(|column| !names.contains(&column.name));
        let mut faults: Vec<PostgresFault> = missing
            .filter_map(|column| column.fault(PLACE, None))
            .collect();
        let present = needed.iter().chain(&optional);
        for column in present.filter(|column| names.contains(&column.name)) {
            let sql = format!(
                "SELECT {TYPE_NAME} FROM pg_type AS t WHERE t.oid = (SELECT pg_typeof(s.{}) {outer})",
                column.name
            );
            for row in connections.query(&sql, &[id.parameter()]).await? {
                faults.extend(column.fault(PLACE, Some(&text(&row, 0)?)));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(PostgresVerifyError::Faults(faults))
        }
    }

    async fn rows(&self, sql: &str, table: &str) -> Result<Vec<Row>, LookupError> {
        let parameters = [(&table as _, Type::TEXT)];
        self.inner.connections.query(sql, &parameters).await
    }
}

fn text(row: &Row, column: usize) -> Result<String, LookupError> {
    row.try_get(column).map_err(|error| {
        LookupError::corrupt("PostgreSQL's catalog holds something unexpected").with_source(error)
    })
}
