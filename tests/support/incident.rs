//! The table of the incident: sessions that live in containers.

use tokio_postgres::types::Type;
use tower_ownership::{PostgresLookup, postgres::PostgresColumns};
use uuid::Uuid;

use super::database::Database;

/// One row of `preview_sessions`. Times are in seconds from now, so that no test depends on the
/// clocks of two processes.
#[derive(Clone, Debug)]
pub struct PreviewSession {
    pub id: Uuid,
    pub status: String,
    pub container_id: Option<String>,
    pub container_url: Option<String>,
    /// `expires_at` is this far ahead; behind, if negative.
    pub expires_in: Option<f64>,
    /// `ended_at` is this long ago.
    pub ended_ago: Option<f64>,
    pub user_id: Option<String>,
    pub project_id: Option<String>,
    pub tier: Option<String>,
}

impl PreviewSession {
    /// An active session with an hour to live, owned by `container_id`.
    pub fn owned_by(container_id: &str) -> Self {
        Self {
            id: Uuid::new_v4(),
            status: "active".to_owned(),
            container_id: Some(container_id.to_owned()),
            container_url: None,
            expires_in: Some(3_600.0),
            ended_ago: None,
            user_id: None,
            project_id: None,
            tier: None,
        }
    }
}

impl Database {
    /// Creates the incident's table.
    pub async fn incident_table(&self) {
        self.execute(
            "CREATE TABLE preview_sessions (
                id uuid PRIMARY KEY,
                status text NOT NULL,
                container_id text,
                container_url text,
                expires_at timestamptz,
                ended_at timestamptz,
                user_id text,
                project_id text,
                tier text,
                created_at timestamptz DEFAULT now()
            )",
        )
        .await;
    }

    /// Inserts `session` into the incident's table and returns its id.
    pub async fn insert(&self, session: &PreviewSession) -> Uuid {
        let inserted = self
            .client()
            .await
            .execute_typed(
                "INSERT INTO preview_sessions (id, status, container_id, container_url,
                     expires_at, ended_at, user_id, project_id, tier)
                 VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5),
                     now() - make_interval(secs => $6), $7, $8, $9)",
                &[
                    (&session.id, Type::UUID),
                    (&session.status, Type::TEXT),
                    (&session.container_id, Type::TEXT),
                    (&session.container_url, Type::TEXT),
                    (&session.expires_in, Type::FLOAT8),
                    (&session.ended_ago, Type::FLOAT8),
                    (&session.user_id, Type::TEXT),
                    (&session.project_id, Type::TEXT),
                    (&session.tier, Type::TEXT),
                ],
            )
            .await;
        inserted.expect("INSERT INTO preview_sessions");
        session.id
    }
}

/// The default columns with these changes.
pub fn columns(text: &str) -> PostgresColumns {
    text.parse().unwrap()
}

/// A lookup of the table.
pub fn lookup(database: &Database) -> PostgresLookup {
    PostgresLookup::builder(database.url()).build().unwrap()
}
