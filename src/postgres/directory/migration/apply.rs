//! Applying the migration to a table that is in use.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    SMALL_PAGES,
    catalog::{Leaf, owner_index},
    due, fill,
    index::{self, OwnerIndex},
};
use crate::{
    LookupError, LookupErrorKind,
    postgres::{PostgresDirectory, failure::sqlstate, identifier::Identifier, mode::Mode},
};

/// What [`migrate`](PostgresDirectory::migrate) did.
///
/// It serializes with the names of its fields in `camelCase`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Migrated {
    /// What was missing and has been made. Empty: everything was there.
    pub done: Vec<String>,
    /// What is left to do by hand, because it would have locked a large table for too long.
    pub left: Vec<LeftToDo>,
}

/// Something that [`migrate`](PostgresDirectory::migrate) left to do by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LeftToDo {
    /// What, and why it was left.
    pub what: String,
    /// The statements for it, each to be run outside of a transaction.
    pub sql: String,
}

/// How long the migration may take.
const MIGRATION: Duration = Duration::from_secs(60);

/// Pages that one statement fills in: some 10,000 rows, a fraction of a second.
const BITE: i64 = 256;

/// How often what others had locked is tried again.
const PASSES: u32 = 3;

impl PostgresDirectory {
    /// Makes what the [migration](Self::migration) makes, as far as it is missing, within about a
    /// minute. It may be called while the application runs, and again and again.
    ///
    /// It reads the catalog first. Where everything is there, it locks nothing that a reader or a
    /// writer needs. Otherwise the missing parts are made in one transaction, which waits a second
    /// for the table. Then it writes in bites whose the epochs of older rows are, and gives an
    /// epoch of their own to sessions whose owner changed while the triggers were missing. The index of
    /// owners is made only on a table of up to 32 MB, where that keeps writers waiting for well
    /// under a second. What is left to do by hand is in the [answer](Migrated::left).
    ///
    /// # Errors
    /// A [`Timeout`](LookupErrorKind::Timeout): others use the table. Nothing or a part was done:
    /// call it again when fewer use it. Ask one machine for it, or a deployment step, rather than
    /// all at once.
    pub async fn migrate(&self) -> Result<Migrated, LookupError> {
        let deadline = Instant::now() + MIGRATION;
        let channel = Identifier::parse("channel", &self.channel).map_err(|error| {
            LookupError::unavailable("the migration cannot be written").with_source(error)
        })?;
        let mut migrated = Migrated::default();
        let steps = self.missing(&channel).await?;
        if !steps.is_empty() {
            let sql: Vec<&str> = steps.iter().map(|step| step.sql.as_str()).collect();
            let made = self.run(&sql.join("\n"), deadline).await;
            made.map_err(|error| match sqlstate(&error) {
                // In one transaction, which the server has rolled back.
                Some("55P03" | "57014") => LookupError::timeout(
                    "nothing was changed: another transaction uses the table for longer than a \
                     second (see pg_stat_activity); run the migration again",
                )
                .with_source(error),
                _ => error,
            })?;
            let made = steps.iter().map(|step| step.what.to_owned());
            migrated.done.extend(made);
        }
        let (leaves, partitioned) = self.leaves().await?;
        self.fill_all(&leaves, deadline, &mut migrated).await?;
        self.index(&leaves, partitioned, deadline, &mut migrated)
            .await?;
        Ok(migrated)
    }

    async fn run(&self, sql: &str, deadline: Instant) -> Result<(), LookupError> {
        let connections = &self.lookup.connections;
        let done = connections.run(Mode::MIGRATE, sql, &[], deadline);
        done.await.map(drop)
    }

    async fn fill_all(
        &self,
        leaves: &[Leaf],
        deadline: Instant,
        migrated: &mut Migrated,
    ) -> Result<(), LookupError> {
        let (mut filled, mut skipped) = (0, true);
        for pass in 0..PASSES {
            if !skipped {
                break;
            }
            if pass > 0 {
                sleep(Duration::from_millis(200)).await;
            }
            skipped = false;
            for leaf in leaves {
                for page in (0..leaf.pages).step_by(usize::try_from(BITE).unwrap_or(1)) {
                    if Instant::now() >= deadline {
                        skipped = true;
                        break;
                    }
                    let (more, left) = self.fill_in(leaf, page, deadline).await?;
                    filled += more;
                    skipped |= left;
                }
            }
        }
        if filled > 0 {
            let done = format!("owners of epochs, in {filled} rows");
            migrated.done.push(done);
        }
        if skipped {
            let name = self.table.qualified();
            migrated.left.push(LeftToDo {
                what:
                    "the owners of some epochs, whose rows are locked, or too many for one call: \
                     migrate again, or fill them in"
                        .to_owned(),
                sql: fill(&self.table, &self.ownership, &name, None),
            });
        }
        Ok(())
    }

    /// Some pages of a table: how many rows were filled in, and whether locked ones were left.
    async fn fill_in(
        &self,
        leaf: &Leaf,
        page: i64,
        deadline: Instant,
    ) -> Result<(i64, bool), LookupError> {
        let (name, end) = (&leaf.name, page + BITE);
        let due = due(&self.table, &self.ownership, "t");
        let pages = format!("t.ctid >= '({page},0)'::tid AND t.ctid < '({end},0)'::tid AND {due}");
        let fill = fill(
            &self.table,
            &self.ownership,
            name,
            Some("t.ctid = ANY(ARRAY(SELECT due.ctid FROM due))"),
        );
        let sql = format!(
            "WITH due AS MATERIALIZED (\
                 SELECT t.ctid FROM ONLY {name} AS t WHERE {pages} FOR NO KEY UPDATE SKIP LOCKED\
             ), filled AS ({fill} RETURNING 1) \
             SELECT (SELECT count(*) FROM filled), EXISTS (SELECT FROM ONLY {name} AS t \
                 WHERE {pages} AND t.ctid <> ALL(ARRAY(SELECT due.ctid FROM due)))"
        );
        let rows = self
            .lookup
            .connections
            .run(Mode::WRITE_MUCH, &sql, &[], deadline)
            .await?;
        match rows.first() {
            Some(row) => Ok((super::super::value(row, 0)?, super::super::value(row, 1)?)),
            None => Ok((0, false)),
        }
    }

    async fn index(
        &self,
        leaves: &[Leaf],
        partitioned: bool,
        deadline: Instant,
        migrated: &mut Migrated,
    ) -> Result<(), LookupError> {
        let found = owner_index(&self.lookup, &self.table).await?;
        let (how, name, words) = (found.how, found.name, found.wanted);
        let what = match how {
            OwnerIndex::Fits => return Ok(()),
            OwnerIndex::Missing => "the index of owners, because the table is large or in use",
            OwnerIndex::OtherRows => {
                "an index of owners that holds exactly the active and starting sessions"
            }
            OwnerIndex::Invalid => "the index of owners, whose build failed or goes on",
        };
        let ours = index::name(&self.table);
        let is_ours = name.as_deref() == Some(ours.name());
        // After an exchange of tables an index of the old one may have the name.
        let is_free = is_ours || self.is_free().await?;
        let create = |how: &str, on: &str| {
            let named = if is_free && on == self.table.qualified() {
                format!("CREATE INDEX{how} {ours}")
            } else {
                format!("CREATE INDEX{how}")
            };
            index::statement(&self.table, words.as_deref(), &named, on)
        };
        let table = self.table.qualified();
        let pages: i64 = leaves.iter().map(|leaf| leaf.pages).sum();
        let replaces = is_ours && how == OwnerIndex::OtherRows;
        if (how == OwnerIndex::Missing || replaces) && pages <= SMALL_PAGES {
            let mut sql = create("", &table);
            if replaces {
                let ours = index::qualified_name(&self.table);
                sql = format!("DROP INDEX {ours}; {sql}");
            }
            match self.run(&sql, deadline).await {
                Ok(()) => {
                    migrated.done.push("index of owners".to_owned());
                    return Ok(());
                }
                Err(error) if error.kind() == LookupErrorKind::Timeout => {}
                Err(error) => return Err(error),
            }
        }
        // The server drops no index of a partitioned table concurrently.
        let concurrently = if partitioned { "" } else { " CONCURRENTLY" };
        let (mut sql, mut last) = (Vec::new(), None);
        if let Some(name) = name {
            let schema = self.table.schema();
            let schema = schema
                .map(|schema| format!("{schema}."))
                .unwrap_or_default();
            let name = format!("{schema}\"{}\"", name.replace('"', "\"\""));
            let drop = |name: &str| format!("DROP INDEX{concurrently} {name}");
            if how == OwnerIndex::Invalid {
                sql.push(drop(&name));
            } else if is_ours {
                // Drains and audits use it until the other one is built.
                let old = index::old_name(&self.table);
                sql.push(format!("ALTER INDEX {name} RENAME TO {old}"));
                last = Some(drop(&index::qualified_old_name(&self.table)));
            } else {
                last = Some(drop(&name));
            }
        }
        if partitioned {
            // The server builds no index of a partitioned table concurrently. It takes an index that
            // a partition already has for its part.
            sql.extend(
                leaves
                    .iter()
                    .map(|leaf| create(" CONCURRENTLY", &leaf.name)),
            );
            sql.push(create("", &table));
        } else {
            sql.push(create(" CONCURRENTLY", &table));
        }
        sql.extend(last);
        migrated.left.push(LeftToDo {
            what: what.to_owned(),
            sql: sql.join(";\n"),
        });
        Ok(())
    }

    async fn is_free(&self) -> Result<bool, LookupError> {
        let name = index::qualified_name(&self.table);
        let sql = "SELECT WHERE to_regclass($1) IS NULL";
        Ok(!self.catalog(sql, &[&name.as_str()]).await?.is_empty())
    }
}
