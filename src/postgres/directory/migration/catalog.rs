//! What of the migration is there.

use tokio_postgres::{Row, types::Type};

use super::{
    EPOCH_TRIGGERS, epoch_function, epochs_body,
    index::{self, OwnerIndex},
    sql,
};
use crate::{
    LookupError,
    postgres::{
        Inner, PostgresDirectory,
        change_log::{self, Bodies, READ_PARAMETERS, read_function},
        identifier::Identifier,
        migration::{self, NOTIFY_TRIGGERS, function, literal},
        ownership::Ownership,
        sql::sql_file,
        table::Table,
    },
};

/// A part of the migration, and the statements that make it.
pub(super) struct Step {
    pub(super) what: &'static str,
    pub(super) sql: String,
}

/// A table or partition that holds rows.
pub(super) struct Leaf {
    /// As SQL names it.
    pub(super) name: String,
    pub(super) pages: i64,
}

/// `tree(relid)`: the table that `name` names, and all of its partitions.
pub(in crate::postgres) fn tree(name: &str) -> String {
    let relation = literal(name);
    format!(
        "tree AS (SELECT to_regclass({relation})::oid AS relid \
         UNION SELECT relid FROM pg_partition_tree(to_regclass({relation})))"
    )
}

/// Finds the triggers of these names that run `function` and are missing or disabled, on the table
/// and on each of its partitions: the trigger, the relation, and whether it is there.
///
/// A partition has its own copy of a trigger for each row, which can be disabled by itself.
pub(in crate::postgres) fn missing_triggers(
    table: &Table,
    function: &str,
    names: &[&str],
) -> String {
    let tree = tree(&table.qualified());
    let function = literal(&format!("{function}()"));
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    let (names, truncate) = (names.join(", "), literal(NOTIFY_TRIGGERS[2]));
    let root = literal(&table.qualified());
    format!(
        "WITH {tree} SELECT wanted.name, CASE WHEN tree.relid = to_regclass({root})::oid \
             THEN {root} ELSE tree.relid::regclass::text END, t.oid IS NOT NULL \
         FROM tree CROSS JOIN unnest(ARRAY[{names}]) WITH ORDINALITY AS wanted(name, place) \
         LEFT JOIN pg_trigger AS t ON t.tgrelid = tree.relid AND t.tgname = wanted.name \
             AND t.tgfoid = to_regprocedure({function}) \
         WHERE (t.oid IS NULL OR t.tgenabled NOT IN ('O', 'A')) \
         AND (wanted.name <> {truncate} OR tree.relid = to_regclass({root})::oid) \
         ORDER BY wanted.place, 2"
    )
}

impl PostgresDirectory {
    /// The parts of the migration that are missing, in the order in which they are made.
    pub(super) async fn missing(&self, channel: &Identifier) -> Result<Vec<Step>, LookupError> {
        let (table, ownership) = (&*self.table, &*self.ownership);
        let sql = sql(table, ownership, channel);
        let mut steps = Vec::new();
        if !self.has_columns(table, ownership).await? {
            steps.push(Step {
                what: "columns of the sessions' table",
                sql: sql.document(sql_file!("migration/columns")),
            });
        }
        let (function_, body) = (epoch_function(table), epochs_body(&sql));
        let mut runs = self.runs(&function_, &body, &EPOCH_TRIGGERS).await?;
        if !runs && !ownership.reusable_ids {
            // A command or a machine that was not told of the setting does not take it away: epochs
            // would fall.
            let reusable = Ownership {
                reusable_ids: true,
                ..ownership.clone()
            };
            let body = epochs_body(&super::sql(table, &reusable, channel));
            runs = self.runs(&function_, &body, &EPOCH_TRIGGERS).await?;
        }
        if !runs {
            steps.push(Step {
                what: "triggers that raise epochs",
                sql: sql.document(sql_file!("migration/epochs")),
            });
        }
        let Bodies { append, read, home } = change_log::bodies(&sql, table);
        let notifies = function(table);
        let reads = read_function(table);
        if !self.is(&format!("{notifies}()"), &append, &home).await?
            || !self
                .is(&format!("{reads}{READ_PARAMETERS}"), &read, &home)
                .await?
            || !self.has_log(table).await?
        {
            steps.push(Step {
                what: "change log",
                sql: sql.document(sql_file!("migration/log")),
            });
        }
        if !self.has_triggers(&notifies, &NOTIFY_TRIGGERS).await?
            || !self.notifies_of_all(table).await?
        {
            steps.push(Step {
                what: "triggers that notify",
                sql: sql.document(sql_file!("migration/notify_triggers")),
            });
        }
        for (what, place, columns, file) in [
            (
                "table of machines",
                &ownership.machines,
                Ownership::MACHINE_COLUMNS,
                sql_file!("migration/machines"),
            ),
            (
                "table of the fleet",
                &ownership.fleet,
                Ownership::FLEET_COLUMNS,
                sql_file!("migration/fleet"),
            ),
        ] {
            let found = self.columns_of(place).await?;
            let has = |column: &&str| found.iter().any(|(name, ..)| name == column);
            if !columns.iter().all(has) {
                let sql = sql.document(file);
                steps.push(Step { what, sql });
            }
        }
        Ok(steps)
    }

    async fn has_columns(&self, table: &Table, ours: &Ownership) -> Result<bool, LookupError> {
        let columns = self.columns_of(&table.qualified()).await?;
        let find = |column: &Identifier| columns.iter().find(|(name, ..)| name == column.name());
        let (Some((_, full, first)), Some(_), Some((_, _, of))) = (
            find(&ours.epoch),
            find(&ours.released),
            find(&ours.epoch_of),
        ) else {
            return Ok(false);
        };
        Ok(*full && first.as_deref() == Some("0") && of.is_none())
    }

    /// The columns of a table: name, whether they are NOT NULL, default.
    async fn columns_of(
        &self,
        place: &str,
    ) -> Result<Vec<(String, bool, Option<String>)>, LookupError> {
        let sql = "SELECT a.attname::text, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) \
             FROM pg_attribute AS a \
             LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
        let rows = self.catalog(sql, &[&place]).await?;
        rows.iter()
            .map(|row| Ok((value(row, 0)?, value(row, 1)?, value(row, 2)?)))
            .collect()
    }

    /// Whether the function is the one of this version, and all of these triggers run it.
    async fn runs(&self, function: &str, body: &str, names: &[&str]) -> Result<bool, LookupError> {
        Ok(self.is(&format!("{function}()"), body, "").await?
            && self.has_triggers(function, names).await?)
    }

    /// Whether a function is there with this body, in which `home`, if it is not empty, stands for the
    /// table's schema.
    async fn is(&self, function: &str, body: &str, home: &str) -> Result<bool, LookupError> {
        let sql = "SELECT FROM pg_proc AS p CROSS JOIN pg_class AS c \
             JOIN pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE p.oid = to_regprocedure($1) AND c.oid = to_regclass($4) \
             AND p.prosrc = replace($2, $3, quote_ident(n.nspname))";
        let place = self.table.qualified();
        let parameters = [&function, &body, &home, &place.as_str()];
        Ok(!self.catalog(sql, &parameters).await?.is_empty())
    }

    async fn has_triggers(&self, function: &str, names: &[&str]) -> Result<bool, LookupError> {
        let sql = missing_triggers(&self.table, function, names);
        Ok(self.catalog(&sql, &[]).await?.is_empty())
    }

    async fn has_log(&self, table: &Table) -> Result<bool, LookupError> {
        let [log0, log1, log2, lease] = &change_log::relations(table);
        let parameters = [log0, log1, log2, lease].map(String::as_str);
        let [log0, log1, log2, lease] = &parameters;
        let sql = "SELECT WHERE to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL \
             AND to_regclass($3) IS NOT NULL AND to_regclass($4) IS NOT NULL";
        Ok(!self
            .catalog(sql, &[log0, log1, log2, lease])
            .await?
            .is_empty())
    }

    /// Whether the trigger that notifies of an UPDATE looks at all columns that a verdict depends on.
    async fn notifies_of_all(&self, table: &Table) -> Result<bool, LookupError> {
        let columns = migration::columns(table);
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        let sql = "SELECT a.attname::text FROM pg_trigger AS t \
             JOIN pg_attribute AS a ON a.attrelid = t.tgrelid AND a.attnum = ANY(t.tgattr) \
             WHERE t.tgrelid = to_regclass($1) AND t.tgname = $2";
        let (place, trigger) = (table.qualified(), NOTIFY_TRIGGERS[1]);
        let rows = self.catalog(sql, &[&place.as_str(), &trigger]).await?;
        let found: Vec<String> = rows
            .iter()
            .map(|row| value(row, 0))
            .collect::<Result<_, _>>()?;
        Ok(found.len() == names.len() && found.iter().all(|name| names.contains(&name.as_str())))
    }

    /// What holds the rows of the table, largest last; and whether the table is partitioned.
    pub(super) async fn leaves(&self) -> Result<(Vec<Leaf>, bool), LookupError> {
        let tree = tree(&self.table.qualified());
        let sql = format!(
            "WITH {tree} SELECT c.oid::regclass::text, c.relkind = 'p', \
                 CASE c.relkind WHEN 'r' THEN pg_relation_size(c.oid) / \
                     current_setting('block_size')::bigint END \
             FROM tree JOIN pg_class AS c ON c.oid = tree.relid ORDER BY 3, 1"
        );
        let (mut leaves, mut partitioned) = (Vec::new(), false);
        for row in self.catalog(&sql, &[]).await? {
            partitioned |= value::<bool>(&row, 1)?;
            if let Some(pages) = value(&row, 2)? {
                let name = value(&row, 0)?;
                leaves.push(Leaf { name, pages });
            }
        }
        Ok((leaves, partitioned))
    }

    pub(super) async fn catalog(
        &self,
        sql: &str,
        parameters: &[&&str],
    ) -> Result<Vec<Row>, LookupError> {
        let parameters: Vec<_> = parameters
            .iter()
            .map(|text| (*text as _, Type::TEXT))
            .collect();
        self.lookup.connections.query(sql, &parameters).await
    }
}

/// The index of owners, as it is.
pub(in crate::postgres) struct FoundIndex {
    pub(in crate::postgres) how: OwnerIndex,
    pub(super) name: Option<String>,
    /// The statuses that it is to hold; `None`: no status tells a session's state.
    pub(in crate::postgres) wanted: Option<Vec<String>>,
    /// Those of them that statements may ask for: with any other, the planner uses no index that is
    /// there, and reads the whole table for each owner.
    pub(in crate::postgres) usable: Option<Vec<String>>,
}

/// Reads how the index of owners of the lookup's table is.
pub(in crate::postgres) async fn owner_index(
    lookup: &Inner,
    table: &Table,
) -> Result<FoundIndex, LookupError> {
    let (place, owner) = (table.qualified(), table.owner.name());
    let parameters = [(&place as _, Type::TEXT), (&owner as _, Type::TEXT)];
    let rows = lookup
        .connections
        .query(index::INDEXES, &parameters)
        .await?;
    let statuses = lookup.statuses.as_ref();
    let statuses = table.status.as_ref().zip(statuses);
    let wanted = match statuses {
        Some((status, statuses)) => {
            let labels = labels_of(lookup, &place, status).await?;
            Some(index::wanted(statuses, &labels))
        }
        None => None,
    };
    let active = statuses.map_or(&[][..], |(_, statuses)| &statuses.active);
    let (mut how, mut name, mut usable) = (OwnerIndex::Missing, None, None);
    for row in rows {
        let (valid, predicate): (bool, Option<String>) = (value(&row, 1)?, value(&row, 2)?);
        let found = index::judge(valid, predicate.as_deref(), wanted.as_deref());
        if found > how {
            (how, name) = (found, Some(value(&row, 0)?));
        }
        let held = index::held(predicate.as_deref(), wanted.as_deref().unwrap_or_default());
        let serves = valid && active.iter().all(|word| held.contains(word));
        if serves
            && usable
                .as_ref()
                .is_none_or(|best: &Vec<_>| best.len() < held.len())
        {
            usable = Some(held);
        }
    }
    // Without an index, a statement that asks for all is no slower.
    let usable = wanted.clone().map(|wanted| usable.unwrap_or(wanted));
    Ok(FoundIndex {
        how,
        name,
        wanted,
        usable,
    })
}

async fn labels_of(
    lookup: &Inner,
    place: &str,
    status: &Identifier,
) -> Result<Vec<String>, LookupError> {
    let status = status.name();
    let parameters = [(&place as _, Type::TEXT), (&status as _, Type::TEXT)];
    let sql = index::labels("$1", "$2");
    let rows = lookup.connections.query(&sql, &parameters).await?;
    rows.iter().map(|row| value(row, 0)).collect()
}

fn value<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
) -> Result<T, LookupError> {
    super::super::value(row, column)
}
