//! Looking at the database before the first request does.

use tokio_postgres::Row;

use crate::{LookupError, MachineId, SessionStatus, directory::DirectoryId, machine::shape::alike};

use super::{
    Inner, PostgresLookup,
    column::Column,
    fault::{PostgresFault, PostgresVerified, PostgresVerifyError, PostgresWarning},
    row::value,
    sql::{Sql, sql_file},
    table::Table,
};

mod table;

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
        let no_session = self.inner.query.ids().sample();
        let deadline = self.inner.connections.deadline();
        self.inner.ask(&no_session, deadline).await?;
        self.inner.try_batch(&no_session).await?;
        self.introduce().await;
        for warning in &warnings {
            tracing::warn!(target: "tower_ownership", "{warning}");
        }
        Ok(PostgresVerified { warnings })
    }

    /// Logs once which database this is, and asks for its id, which not every server tells.
    async fn introduce(&self) {
        let Inner {
            connections,
            table,
            directory_id,
            ..
        } = &*self.inner;
        if directory_id.get().is_some() {
            return;
        }
        let sql = Sql::new().fill(sql_file!("directory_id"));
        let id = self.texts(&sql).await.unwrap_or_default();
        let id = id.first().and_then(|id| DirectoryId::parse(id));
        if let Some(id) = id {
            let _ = directory_id.set(id);
        }
        tracing::info!(
            target: "tower_ownership",
            directory = %connections.place,
            table = table.as_ref().map(|table| tracing::field::display(table.qualified())),
            directory_id = id.as_ref().map(DirectoryId::as_str),
            "sessions are read from this directory"
        );
    }

    async fn sample(
        &self,
        table: &Table,
        me: &MachineId,
        warnings: &mut Vec<PostgresWarning>,
    ) -> Result<(), LookupError> {
        let (sql, statuses) = (&self.inner.sql, self.inner.statuses.as_ref());
        let owners = self.texts(&sql.fill(sql_file!("sample_owners"))).await?;
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
        let (Some(_), Some(statuses), true) = (&table.status, statuses, owners.is_empty()) else {
            return Ok(());
        };
        let found = self.texts(&sql.fill(sql_file!("sample_statuses"))).await?;
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
        let ids = self.inner.query.ids();
        let Some(id) = ids.value(&ids.sample()) else {
            return Ok(());
        };
        let outer = format!("FROM (SELECT 1) AS one LEFT JOIN (\n{query}\n) AS s ON true LIMIT 1");
        let sql = format!("SELECT jsonb_object_keys(to_jsonb(r.*)) FROM (SELECT s.* {outer}) AS r");
        let connections = &self.inner.connections;
        let rows = connections.query(&sql, &[id.parameter()]).await?;
        let names = texts(&rows)?;

        let (needed, optional) = Column::of_query();
        let missing = needed.iter().filter(|column| !names.contains(&column.name));
        let mut faults: Vec<PostgresFault> = missing
            .filter_map(|column| column.fault(PLACE, None))
            .collect();
        let present = needed.iter().chain(&optional);
        for column in present.filter(|column| names.contains(&column.name)) {
            let type_name = Sql::new().fill("{type_name}");
            let sql = format!(
                "SELECT {type_name} FROM pg_type AS t WHERE t.oid = (SELECT pg_typeof(s.{}) {outer})",
                column.name
            );
            for found in texts(&connections.query(&sql, &[id.parameter()]).await?)? {
                faults.extend(column.fault(PLACE, Some(&found)));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(PostgresVerifyError::Faults(faults))
        }
    }

    async fn texts(&self, sql: &str) -> Result<Vec<String>, LookupError> {
        texts(&self.inner.connections.query(sql, &[]).await?)
    }
}

fn texts(rows: &[Row]) -> Result<Vec<String>, LookupError> {
    rows.iter().map(|row| value(row, 0)).collect()
}
