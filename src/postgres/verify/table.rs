//! Whether the tables fit.

use tokio_postgres::Row;

use crate::{
    LookupError,
    postgres::{
        PostgresLookup,
        column::Column,
        directory::{EPOCH_TRIGGERS, OwnerIndex, epoch_function, missing_triggers, owner_index},
        fault::{PostgresFault, PostgresVerifyError, PostgresWarning},
        identifier::Identifier,
        migration::literal,
        ownership::Ownership,
        row::value,
        sql::{sql_file, words},
        table::Table,
    },
};

/// A column that was found.
struct Found {
    place: String,
    name: String,
    kind: String,
}

impl PostgresLookup {
    /// How many things are missing where the migration was never applied: the columns, the tables
    /// and the triggers.
    #[cfg(feature = "doctor")]
    pub(crate) const MIGRATED: usize = 3 + 2 + EPOCH_TRIGGERS.len();

    pub(super) async fn verify_table(
        &self,
        table: &Table,
        warnings: &mut Vec<PostgresWarning>,
    ) -> Result<(), PostgresVerifyError> {
        let (name, connections) = (table.qualified(), &self.inner.connections);
        let mut places = vec![name.clone()];
        if let Some(ownership) = &table.ownership {
            places.extend([ownership.machines.clone(), ownership.fleet.clone()]);
        }
        let sql = self.inner.sql.clone().text("places", words(&places));
        let (mut found, mut indexed) = (Vec::new(), Vec::new());
        for row in connections
            .query(&sql.fill(sql_file!("verify")), &[])
            .await?
        {
            if value::<&str>(&row, "about")? == "index" {
                indexed.push(value::<Option<String>>(&row, "name")?);
            } else {
                found.push(Found {
                    place: value(&row, "place")?,
                    name: value(&row, "name")?,
                    kind: value(&row, "found")?,
                });
            }
        }
        if !found.iter().any(|found| found.place == name) {
            let faults = vec![PostgresFault::NoTable { table: name }];
            return Err(PostgresVerifyError::Faults(faults));
        }
        let columns = Column::of_table(table);
        let type_of = |column: &Column| {
            let is_it = |found: &&Found| found.place == name && found.name == column.name;
            found.iter().find(is_it).map(|found| found.kind.as_str())
        };
        let mut faults: Vec<PostgresFault> = columns
            .iter()
            .filter_map(|column| column.fault(&name, type_of(column)))
            .collect();
        if let Some(ownership) = &table.ownership {
            not_migrated(ownership, &found, &mut faults);
            let function = epoch_function(table);
            let written = [&table.owner, &ownership.released];
            let written = written.into_iter().chain(&table.address);
            let written: Vec<String> = written.map(|column| column.name().to_owned()).collect();
            let missing = missing_triggers(table, &function, &EPOCH_TRIGGERS);
            let sql = sql
                .text("epoch_function", literal(&format!("{function}()")))
                .text("epoch_triggers", EPOCH_TRIGGERS.len().to_string())
                .text("missing_triggers", missing)
                .text("reusable_ids", ownership.reusable_ids.to_string())
                .text("written", words(&written));
            let sql = sql.fill(sql_file!("verify_ownership"));
            for row in connections.query(&sql, &[]).await? {
                judge(&row, &mut faults, warnings)?;
            }
        }
        if !faults.is_empty() {
            return Err(PostgresVerifyError::Faults(faults));
        }
        for column in &columns {
            if let Some(found) = type_of(column).filter(|found| column.lacks_zone(found)) {
                warnings.push(PostgresWarning::NoTimeZone {
                    found: found.to_owned(),
                    column: column.name.clone(),
                });
            }
        }
        let id = table.id.name();
        if !indexed.is_empty() && !indexed.iter().any(|first| first.as_deref() == Some(id)) {
            warnings.push(PostgresWarning::NoIndex {
                table: name.clone(),
                column: id.to_owned(),
            });
        }
        if table.ownership.is_some() {
            let how = match owner_index(&self.inner, table).await?.how {
                OwnerIndex::Fits => return Ok(()),
                OwnerIndex::Missing => "is missing",
                OwnerIndex::Invalid => "is invalid: its build failed or goes on",
                OwnerIndex::OtherRows => "does not hold exactly the active and starting sessions",
            };
            warnings.push(PostgresWarning::OwnerIndex { table: name, how });
        }
        Ok(())
    }
}

/// Adds the tables and columns that are not there and that the migration makes.
fn not_migrated(ownership: &Ownership, found: &[Found], faults: &mut Vec<PostgresFault>) {
    let made = [&ownership.epoch, &ownership.released, &ownership.epoch_of].map(Identifier::name);
    for fault in faults.iter_mut() {
        if let PostgresFault::NoColumn { place, column, .. } = fault
            && made.contains(&column.as_str())
        {
            let missing = format!("column {column:?} of {place}");
            *fault = PostgresFault::NotMigrated { missing };
        }
    }
    for (place, columns) in [
        (&ownership.machines, Ownership::MACHINE_COLUMNS),
        (&ownership.fleet, Ownership::FLEET_COLUMNS),
    ] {
        let found = found.iter().filter(|found| found.place == *place);
        let found: Vec<&str> = found.map(|found| found.name.as_str()).collect();
        if found.is_empty() {
            let missing = format!("table {place}");
            faults.push(PostgresFault::NotMigrated { missing });
            continue;
        }
        for column in columns.iter().filter(|column| !found.contains(column)) {
            let missing = format!("column {column:?} of {place}");
            faults.push(PostgresFault::NotMigrated { missing });
        }
    }
}

/// Adds what a row of `verify_ownership.sql` says.
fn judge(
    row: &Row,
    faults: &mut Vec<PostgresFault>,
    warnings: &mut Vec<PostgresWarning>,
) -> Result<(), LookupError> {
    let text =
        |column| Ok::<_, LookupError>(value::<Option<String>>(row, column)?.unwrap_or_default());
    let (table, name) = (text("place")?, text("name")?);
    warnings.push(match value(row, "about")? {
        "missing" => {
            let missing = format!("trigger {name:?} of {table}");
            faults.push(PostgresFault::NotMigrated { missing });
            return Ok(());
        }
        "not-reusable" => {
            let missing = format!("trigger for reusable ids of {table}");
            faults.push(PostgresFault::NotMigrated { missing });
            return Ok(());
        }
        "late" => PostgresWarning::LateTrigger { trigger: name },
        "asynchronous" => PostgresWarning::AsynchronousCommit,
        "unlogged" => PostgresWarning::Unlogged { table },
        "row-security" => PostgresWarning::RowSecurity { table },
        _ => PostgresWarning::NoPrivilege {
            privilege: name,
            place: table,
        },
    });
    Ok(())
}
