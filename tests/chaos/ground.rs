//! The database that a run stands on, and what it writes down by itself.

use std::sync::Arc;

use tokio_postgres::Row as Columns;
use tower_ownership::PostgresLookup;
use uuid::Uuid;

use crate::clock::WallClock;
use crate::history::{Row, Write};
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
    session_id uuid, epoch bigint, owner text, released bigint
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

/// A server of the run's own.
pub struct Ground {
    pub cluster: Arc<Cluster>,
    pub database: Database,
}

impl Ground {
    pub async fn prepare() -> Self {
        let settings = |_: &std::path::Path| SETTINGS.map(ToOwned::to_owned).to_vec();
        let cluster = tokio::task::spawn_blocking(move || Cluster::prepared(settings));
        let cluster = cluster.await.unwrap();
        let cluster = cluster.unwrap_or_else(|log| panic!("PostgreSQL did not start:\n{log}"));
        let database = cluster.database().await;
        database.incident_table().await;
        migrate(&database).await;
        database.execute(NOTES).await;
        Self {
            cluster: Arc::new(cluster),
            database,
        }
    }

    /// What was noted, once nobody writes any more.
    pub async fn notes(&self, wall: WallClock) -> (Vec<Row>, Vec<Write>) {
        let client = self.database.client().await;
        let rows = client
            .query(
                "SELECT number, session_id, epoch, owner, released,
                     (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint
                 FROM chaos_rows ORDER BY number",
                &[],
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
        };
        let write = |columns: &Columns| Write {
            number: columns.get(0),
            session: columns.get::<_, Uuid>(1),
            epoch: number(columns, 2),
            writer: columns.get(3),
        };
        (
            rows.iter().map(row).collect(),
            writes.iter().map(write).collect(),
        )
    }
}

pub fn number(columns: &Columns, at: usize) -> u64 {
    columns.get::<_, i64>(at).try_into().unwrap()
}

/// Makes the table keep epochs and presence.
async fn migrate(database: &Database) {
    let lookup = PostgresLookup::builder(database.url()).ownership();
    let directory = lookup.build().unwrap().directory().unwrap();
    directory.migrate().await.unwrap();
}
