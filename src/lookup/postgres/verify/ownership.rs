//! Whether what ownership needs is there.

use tokio_postgres::Row;

use super::text;
use crate::{
    LookupError,
    lookup::postgres::{
        PostgresLookup,
        directory::{EPOCH_TRIGGERS, epoch_function, missing_triggers},
        fault::{PostgresFault, PostgresWarning},
        identifier::Identifier,
        migration::literal,
        ownership::Ownership,
        table::Table,
    },
};

impl PostgresLookup {
    /// How many things are missing where the migration was never applied: the columns, the tables
    /// and the triggers.
    #[cfg(feature = "doctor")]
    pub(crate) const MIGRATED: usize = 3 + 2 + EPOCH_TRIGGERS.len();

    /// Whether the machines' and the fleet's tables are there, and the triggers that raise epochs.
    pub(super) async fn verify_ownership(
        &self,
        table: &Table,
        ownership: &Ownership,
        warnings: &mut Vec<PostgresWarning>,
    ) -> Result<Vec<PostgresFault>, LookupError> {
        let mut faults = Vec::new();
        let mut missing = |missing| faults.push(PostgresFault::NotMigrated { missing });
        for (place, columns) in [
            (&ownership.machines, Ownership::MACHINE_COLUMNS),
            (&ownership.fleet, Ownership::FLEET_COLUMNS),
        ] {
            let sql = "SELECT a.attname::text FROM pg_attribute AS a \
                 WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
            let found = texts(&self.rows(sql, place).await?)?;
            if found.is_empty() {
                missing(format!("table {place}"));
                continue;
            }
            for column in columns.iter().filter(|column| !has(&found, column)) {
                missing(format!("column {column:?} of {place}"));
            }
        }
        // All triggers that run before a row is written, and whether they are ours.
        let name = table.qualified();
        let function = literal(&epoch_function(table));
        let sql = format!(
            "SELECT t.tgname::text, t.tgfoid = to_regprocedure({function} || '()') \
             FROM pg_trigger AS t WHERE t.tgrelid = to_regclass($1) AND NOT t.tgisinternal \
             AND t.tgenabled IN ('O', 'A') AND t.tgtype & 3 = 3 AND t.tgtype & 20 <> 0 \
             ORDER BY t.tgname"
        );
        let mut ours = 0;
        for row in self.rows(&sql, &name).await? {
            if row.try_get::<_, Option<bool>>(1).ok().flatten() == Some(true) {
                ours += 1;
            } else if ours == EPOCH_TRIGGERS.len() {
                let trigger = text(&row, 0)?;
                warnings.push(PostgresWarning::LateTrigger { trigger });
            }
        }
        let sql = missing_triggers(table, &epoch_function(table), &EPOCH_TRIGGERS);
        for row in self.inner.connections.query(&sql, &[]).await? {
            missing(format!(
                "trigger {:?} of {}",
                text(&row, 0)?,
                text(&row, 1)?
            ));
        }
        Ok(faults)
    }
}

/// Says of columns that are not there that the migration makes them.
pub(super) fn not_migrated(ownership: &Ownership, faults: &mut [PostgresFault]) {
    for fault in faults {
        if let PostgresFault::NoColumn { place, column, .. } = fault
            && [&ownership.epoch, &ownership.released, &ownership.epoch_of]
                .map(Identifier::name)
                .contains(&column.as_str())
        {
            *fault = PostgresFault::NotMigrated {
                missing: format!("column {column:?} of {place}"),
            };
        }
    }
}

fn has(found: &[String], name: &str) -> bool {
    found.iter().any(|found| found == name)
}

fn texts(rows: &[Row]) -> Result<Vec<String>, LookupError> {
    rows.iter().map(|row| text(row, 0)).collect()
}
