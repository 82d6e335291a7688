//! Creates sessions and gives them to machines, by plain SQL, as an application's program would.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::clock::At;
use crate::ground::number;
use crate::history::Sample;
use crate::support::database::{Database, connect};

/// By which its connections are known in what the database notes.
pub const ORCHESTRATOR: &str = "orchestrator";

/// For as long as anybody waits for the database here.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that is made again when it was lost. What fails here is not tried again: whether it
/// was done, the database's own notes tell.
pub struct Orchestrator {
    url: String,
    client: Mutex<Option<Arc<Client>>>,
}

impl Orchestrator {
    pub fn new(database: &Database) -> Self {
        Self {
            // A statement that waits for a lock would hold up all that comes after it.
            url: format!(
                "{}?application_name={ORCHESTRATOR}&options=-c%20lock_timeout%3D1s",
                database.url()
            ),
            client: Mutex::default(),
        }
    }

    /// Whether the session is known to be there now.
    pub async fn create(&self, session: Uuid, owner: Option<&str>) -> bool {
        let insert = "INSERT INTO preview_sessions (id, status, container_id, expires_at)
             VALUES ($1, 'active', $2, now() + interval '1 day')";
        self.execute(insert, &[&session, &owner]).await.is_some()
    }

    /// How many sessions have another owner now, if that is known.
    pub async fn assign(&self, sessions: &[Uuid], owner: Option<&str>) -> Option<u64> {
        let update = "UPDATE preview_sessions SET container_id = $2
             WHERE id = ANY($1) AND container_id IS DISTINCT FROM $2";
        self.execute(update, &[&sessions, &owner]).await
    }

    /// Whether these statements were done, all of them or none.
    pub async fn all_or_none(&self, sql: &str) -> bool {
        let Some(client) = self.client().await else {
            return false;
        };
        let done = timeout(PATIENCE, client.batch_execute(sql)).await;
        done.is_ok_and(|done| done.is_ok())
    }

    /// Which sessions a machine owns, in an order that does not depend on when they were made.
    pub async fn owned_by(&self, machine: &str) -> Option<Vec<Uuid>> {
        let client = self.client().await?;
        let select = "SELECT id FROM preview_sessions WHERE container_id = $1 ORDER BY id";
        let rows = timeout(PATIENCE, client.query(select, &[&machine])).await;
        Some(rows.ok()?.ok()?.iter().map(|row| row.get(0)).collect())
    }

    /// What the rows say now.
    pub async fn sample(&self) -> Option<Vec<Sample>> {
        let client = self.client().await?;
        let from = At::now();
        let rows = client.query("SELECT id, owner_epoch FROM preview_sessions", &[]);
        let rows = timeout(PATIENCE, rows).await.ok()?.ok()?;
        let to = At::now();
        let sample = |columns: &tokio_postgres::Row| Sample {
            session: columns.get(0),
            epoch: number(columns, 1),
            from,
            to,
        };
        Some(rows.iter().map(sample).collect())
    }

    async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Option<u64> {
        let client = self.client().await?;
        timeout(PATIENCE, client.execute(sql, values))
            .await
            .ok()?
            .ok()
    }

    async fn client(&self) -> Option<Arc<Client>> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref().filter(|client| !client.is_closed()) {
            return Some(Arc::clone(client));
        }
        let new = timeout(PATIENCE, connect(&self.url)).await.ok()?.ok()?;
        Some(Arc::clone(client.insert(Arc::new(new))))
    }
}
