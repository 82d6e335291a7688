//! The database that a run stands on, and what it writes down by itself.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Row as Columns;
use tower_ownership::{PostgresDirectory, PostgresLookup};
use uuid::Uuid;

#[cfg(test)]
use crate::clock::At;
use crate::clock::WallClock;
use crate::fault::{Name, Shape, To};
use crate::history::{Row, Write};
use crate::orchestrator::ORCHESTRATOR;
use crate::support::database::Database;
use crate::support::postgres::Cluster;

/// What makes the server keep its promises when it is ended at once, and tell when it committed.
const SETTINGS: [&str; 4] = [
    // What is acknowledged is in the kernel's hands; the kernel itself is not ended here.
    "synchronous_commit=on",
    "track_commit_timestamp=on",
    // Minutes of load would be a large file.
    "log_statement=none",
    "log_connections=off",
];

/// Triggers note every change of an owner and every write, in the very transactions that make them.
/// Numbers are drawn while the row is locked, so those of one row are in the order of its commits.
const NOTES: &str = "
CREATE TABLE session_states (
    session_id uuid PRIMARY KEY, epoch bigint NOT NULL, writer text NOT NULL,
    at timestamptz NOT NULL
);
CREATE SEQUENCE chaos_numbers;
CREATE TABLE chaos_rows (
    number bigint DEFAULT nextval('chaos_numbers'),
    session_id uuid, epoch bigint, owner text, released bigint,
    writer text DEFAULT current_setting('application_name')
);
CREATE TABLE chaos_writes (
    number bigint DEFAULT nextval('chaos_numbers'), session_id uuid, epoch bigint, writer text
);
CREATE FUNCTION chaos_note_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT'
        OR (OLD.container_id, OLD.owner_epoch) IS DISTINCT FROM (NEW.container_id, NEW.owner_epoch)
        OR OLD.owner_released IS DISTINCT FROM NEW.owner_released
    THEN
        INSERT INTO chaos_rows (session_id, epoch, owner, released)
        VALUES (NEW.id, NEW.owner_epoch, NEW.container_id, NEW.owner_released);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION chaos_note_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_writes (session_id, epoch, writer)
    VALUES (NEW.session_id, NEW.epoch, NEW.writer);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_note AFTER INSERT OR UPDATE ON preview_sessions
    FOR EACH ROW EXECUTE FUNCTION chaos_note_row();
CREATE TRIGGER chaos_note AFTER INSERT OR UPDATE ON session_states
    FOR EACH ROW EXECUTE FUNCTION chaos_note_write();
";

/// A server of the run's own, and its standby.
pub struct Ground {
    pub cluster: Arc<Cluster>,
    pub database: Database,
    pub standby: Cluster,
    pub shape: Shape,
}

impl Ground {
    pub async fn prepare(shape: Shape) -> Self {
        let settings = |_: &std::path::Path| SETTINGS.map(ToOwned::to_owned).to_vec();
        let cluster = tokio::task::spawn_blocking(move || Cluster::prepared(settings));
        let cluster = cluster.await.unwrap();
        let cluster = cluster.unwrap_or_else(|log| panic!("PostgreSQL did not start:\n{log}"));
        let database = cluster.database().await;
        database.incident_table().await;
        if let Some(partitions) = partitions(shape) {
            database.execute(&partitions).await;
        }
        migrate(&database).await.unwrap();
        database.execute(NOTES).await;
        let cluster = Arc::new(cluster);
        let primary = Arc::clone(&cluster);
        let standby = tokio::task::spawn_blocking(move || Cluster::standby_of(&primary)).await;
        Self {
            cluster,
            database,
            standby: standby.unwrap(),
            shape,
        }
    }

    /// Lets the standby show what it has, and nothing newer.
    pub async fn stop_replay(&self) {
        self.at_the_standby("SELECT pg_wal_replay_pause()").await;
    }

    pub async fn resume_replay(&self) {
        self.at_the_standby("SELECT pg_wal_replay_resume()").await;
    }

    async fn at_the_standby(&self, sql: &str) {
        let client = self.database.on(&self.standby).client().await;
        client.batch_execute(sql).await.expect("the standby");
    }

    /// Applies the migration while the fleet runs. An error changes nothing.
    pub async fn migrate_again(&self, drops_triggers: bool) -> Result<(), String> {
        if !drops_triggers {
            return migrate(&self.database).await;
        }
        let client = self.database.client().await;
        let again = format!("{DROP_TRIGGERS}{}", PostgresDirectory::MIGRATION);
        // Several statements in one message are one transaction.
        let done = client.batch_execute(&again).await;
        done.map_err(|error| format!("{error:?}"))
    }

    /// Moves rows to another partition, with another owner if there is one to be: SQL of one
    /// transaction, by which no session ends.
    pub fn moves(&self, sessions: &[Uuid], to: Option<&To>) -> String {
        let ids: Vec<String> = sessions.iter().map(ToString::to_string).collect();
        let of = format!("WHERE id = ANY('{{{}}}')", ids.join(","));
        let owner = match to {
            Some(To::Machine(name)) => format!(", container_id = '{name}'"),
            Some(To::Unassigned) => ", container_id = NULL".to_owned(),
            None => String::new(),
        };
        match self.shape {
            Shape::ByStatus => format!(
                "UPDATE preview_sessions SET status = 'creating' {of};
                 UPDATE preview_sessions SET status = 'active'{owner} {of}"
            ),
            Shape::Plain | Shape::ByLife => format!(
                "UPDATE preview_sessions SET expires_at = expires_at + CASE
                     WHEN expires_at < '{BETWEEN_LIVES}' THEN 1 ELSE -1 END * interval '100 years'
                     {owner} {of}"
            ),
        }
    }

    /// What was noted, once no process writes any more.
    pub async fn notes(&self, wall: WallClock) -> (Vec<Row>, Vec<Write>) {
        let client = self.database.client().await;
        let rows = client
            .query(
                "SELECT number, session_id, epoch, owner, released,
                     (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint,
                     writer = $1
                 FROM chaos_rows ORDER BY number",
                &[&ORCHESTRATOR],
            )
            .await
            .unwrap();
        let writes = client
            .query(
                "SELECT number, session_id, epoch, writer FROM chaos_writes ORDER BY number",
                &[],
            )
            .await
            .unwrap();
        let row = |columns: &Columns| Row {
            number: columns.get(0),
            session: columns.get(1),
            epoch: number(columns, 2),
            owner: columns.get(3),
            released: columns
                .get::<_, Option<i64>>(4)
                .map(|one| one.try_into().unwrap()),
            committed: wall.at(columns.get(5)),
            is_assigned: columns.get(6),
        };
        let write = |columns: &Columns| Write {
            number: columns.get(0),
            session: columns.get::<_, Uuid>(1),
            epoch: number(columns, 2),
            writer: columns.get(3),
        };
        (
            changes(rows.iter().map(row)),
            writes.iter().map(write).collect(),
        )
    }
}

pub fn number(columns: &Columns, at: usize) -> u64 {
    columns.get::<_, i64>(at).try_into().unwrap()
}

/// Without the rows that say what the row of the session said before: one that moves to another
/// partition is noted as it is inserted there, and its proof of a release, which counts for its
/// next owner, is not taken along.
fn changes(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut last: HashMap<Uuid, (u64, Option<Name>)> = HashMap::new();
    rows.filter(|row| {
        let now = (row.epoch, row.owner.clone());
        last.insert(row.session, now.clone()) != Some(now)
    })
    .collect()
}

/// The time before which rows are in one partition, and after which in the other.
const BETWEEN_LIVES: &str = "2100-01-01";

fn partitions(shape: Shape) -> Option<String> {
    let (by, one, other) = match shape {
        Shape::Plain => return None,
        Shape::ByStatus => (
            "LIST (status)",
            "FOR VALUES IN ('active')".to_owned(),
            "DEFAULT".to_owned(),
        ),
        Shape::ByLife => (
            "RANGE (expires_at)",
            format!("FOR VALUES FROM (MINVALUE) TO ('{BETWEEN_LIVES}')"),
            format!("FOR VALUES FROM ('{BETWEEN_LIVES}') TO (MAXVALUE)"),
        ),
    };
    // No key could be declared that does not hold the partition's.
    Some(format!(
        "ALTER TABLE preview_sessions RENAME TO columns;
         CREATE TABLE preview_sessions (LIKE columns INCLUDING DEFAULTS) PARTITION BY {by};
         CREATE TABLE sessions_one PARTITION OF preview_sessions {one};
         CREATE TABLE sessions_other PARTITION OF preview_sessions {other};
         CREATE INDEX ON preview_sessions (id);
         DROP TABLE columns"
    ))
}

/// As the head of the migration says.
const DROP_TRIGGERS: &str = "
SET LOCAL lock_timeout = '1s';
DROP FUNCTION preview_sessions_tower_ownership_epoch, preview_sessions_tower_ownership CASCADE;
";

/// Makes the table keep epochs and presence.
async fn migrate(database: &Database) -> Result<(), String> {
    let lookup = PostgresLookup::builder(database.url()).ownership();
    let directory = lookup.build().unwrap().directory().unwrap();
    let done = directory.migrate().await;
    done.map(drop).map_err(|error| format!("{error:?}"))
}

#[test]
fn a_row_that_moves_without_a_change_is_noted_once() {
    let row = |number, epoch, owner: Option<&str>, released| Row {
        session: Uuid::nil(),
        epoch,
        owner: owner.map(ToOwned::to_owned),
        is_assigned: true,
        released,
        committed: At::ms(0),
        number,
    };
    let rows = [
        row(1, 2, None, Some(2)),
        row(2, 3, Some("b"), Some(2)),
        row(3, 3, Some("b"), None),
        row(4, 1, Some("b"), None),
    ];
    let kept: Vec<i64> = changes(rows.into_iter())
        .iter()
        .map(|row| row.number)
        .collect();
    assert_eq!(kept, [1, 2, 4]);
}
