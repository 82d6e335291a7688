//! A database and an edge, for machines to stand between.

use std::time::Duration;

use tower_ownership::PostgresDirectory;
use tower_ownership::testing::{FlyEdge, FlyEdgeBuilder};
use uuid::Uuid;

use super::doctor::{Diagnosis, doctor};
use super::machine::{Life, Machine};
use crate::support::client::{Answer, get};
use crate::support::database::Database;
use crate::support::incident::PreviewSession;

/// Where every fresh request lands.
pub const WRONG: &str = "5683d9a1b2c3d4";
/// Who owns most sessions.
pub const OWNER: &str = "e286544f716d89";

pub struct Place {
    pub database: Database,
    pub edge: FlyEdge,
}

impl Place {
    /// A database to which the migration was applied.
    pub async fn new() -> Self {
        Self::with(migrated(Database::fresh().await).await, FlyEdge::builder()).await
    }

    pub async fn with(database: Database, edge: FlyEdgeBuilder) -> Self {
        let edge = edge
            .land_on(WRONG)
            // Failures should come quickly.
            .connect_attempts(2)
            .connect_pause(Duration::from_millis(1));
        Self {
            database,
            edge: edge.start().await.unwrap(),
        }
    }

    /// A machine that is ready, behind the edge.
    pub async fn machine(&self, id: &str, life: Life) -> Machine {
        let machine = Machine::start(id, &self.database, life).await;
        self.edge.add(id, machine.container.addr);
        machine
    }

    /// An active session of this owner's.
    pub async fn session_of(&self, owner: &str) -> Uuid {
        self.session(|session| session.container_id = Some(owner.to_owned()))
            .await
    }

    pub async fn session(&self, change: impl FnOnce(&mut PreviewSession)) -> Uuid {
        let mut session = PreviewSession::owned_by(OWNER);
        change(&mut session);
        self.database.insert(&session).await
    }

    /// Asks for the session as a client does.
    pub async fn get(&self, session: Uuid) -> Answer {
        get(self.edge.url(&format!("/session/{session}"))).await
    }

    pub async fn doctor(&self, session: Uuid) -> Diagnosis {
        self.doctor_of(session, Life::Beat).await
    }

    /// What the doctor says where machines live so.
    pub async fn doctor_of(&self, session: Uuid, life: Life) -> Diagnosis {
        let url = self.edge.url("");
        doctor(&self.database, session, &url, life.lost_after()).await
    }
}

/// The incident's table, with all that ownership needs.
pub async fn migrated(database: Database) -> Database {
    database.incident_table().await;
    database.execute(PostgresDirectory::MIGRATION).await;
    database
}
