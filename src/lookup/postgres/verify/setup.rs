//! What lets ownership work, but not as meant: how the database is set up.

use tokio_postgres::Row;

use super::text;
use crate::{
    LookupError,
    lookup::postgres::{
        PostgresLookup,
        directory::{OwnerIndex, owner_index},
        fault::PostgresWarning,
        migration::literal,
        ownership::Ownership,
        table::Table,
    },
};

impl PostgresLookup {
    /// Whether commits are kept, rows are visible, and what ownership writes may be written.
    pub(super) async fn verify_setup(
        &self,
        table: &Table,
        ownership: &Ownership,
        warnings: &mut Vec<PostgresWarning>,
    ) -> Result<(), LookupError> {
        let how = match owner_index(&self.inner, table).await?.how {
            OwnerIndex::Fits => None,
            OwnerIndex::Missing => Some("is missing"),
            OwnerIndex::Invalid => Some("is invalid: its build failed or goes on"),
            OwnerIndex::OtherRows => Some("does not hold exactly the active and starting sessions"),
        };
        if let Some(how) = how {
            let table = table.qualified();
            warnings.push(PostgresWarning::OwnerIndex { table, how });
        }
        let sql = "SELECT current_setting('synchronous_commit') = 'off'";
        let connections = &self.inner.connections;
        if is_so(&connections.query(sql, &[]).await?) {
            warnings.push(PostgresWarning::AsynchronousCommit);
        }
        for place in [&table.qualified(), &ownership.machines, &ownership.fleet] {
            let sql = "SELECT c.relpersistence = 'u', row_security_active(c.oid) \
                 FROM pg_class AS c WHERE c.oid = to_regclass($1)";
            for row in self.rows(sql, place).await? {
                let table = place.clone();
                if row.try_get(0).unwrap_or(false) {
                    warnings.push(PostgresWarning::Unlogged { table });
                } else if row.try_get(1).unwrap_or(false) {
                    warnings.push(PostgresWarning::RowSecurity { table });
                }
            }
        }
        let sql = privileges(table, ownership);
        for row in connections.query(&sql, &[]).await? {
            let (privilege, place) = (text(&row, 0)?, text(&row, 1)?);
            warnings.push(PostgresWarning::NoPrivilege { privilege, place });
        }
        Ok(())
    }
}

/// What claims, releases and heartbeats write, and this user may not.
fn privileges(table: &Table, ownership: &Ownership) -> String {
    let name = table.qualified();
    let mut parts = Vec::new();
    let address = table.address.as_ref();
    let columns = [&table.owner, &ownership.released]
        .into_iter()
        .chain(address);
    for column in columns {
        let place = literal(&format!("column {column} of {name}"));
        parts.push(format!(
            "('UPDATE', {place}, has_column_privilege({relation}::regclass, {column}, 'UPDATE'))",
            relation = literal(&name),
            column = literal(column.name()),
        ));
    }
    for (place, privileges) in [
        (&ownership.machines, ["SELECT", "INSERT", "UPDATE"]),
        (&ownership.fleet, ["SELECT", "INSERT", "UPDATE"]),
    ] {
        for privilege in privileges {
            parts.push(format!(
                "('{privilege}', {place}, has_any_column_privilege({relation}::regclass, '{privilege}'))",
                relation = literal(place),
                place = literal(&format!("table {place}")),
            ));
        }
    }
    format!(
        "SELECT p.privilege, p.place FROM (VALUES {}) AS p(privilege, place, has) WHERE NOT p.has",
        parts.join(", ")
    )
}

fn is_so(rows: &[Row]) -> bool {
    rows.first()
        .is_some_and(|row| row.try_get(0).unwrap_or(false))
}
