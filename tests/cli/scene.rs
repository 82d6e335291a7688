//! A database, machines that read it, an edge in front, and the doctor who looks at all that.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;
use tower_ownership::testing::{FlyEdge, FlyEdgeBuilder};
use tower_ownership::{
    CachePolicy, FlyReplay, OwnershipLayer, OwnershipLayerBuilder, PathSegment, PostgresDirectory,
    PostgresLookup, SessionLookup,
};
use uuid::Uuid;

use crate::command::run;
use crate::support::database::Database;
use crate::support::incident::PreviewSession;
use crate::support::server::serve;

/// Who owns most sessions, and where every fresh request lands: the incident's two machines.
pub const OWNER: &str = "e2863555a91708";
pub const LANDED: &str = "56837ddda10348";

pub struct Scene {
    pub database: Database,
    pub edge: FlyEdge,
    /// Further arguments of every diagnosis.
    pub arguments: Vec<String>,
    pub variables: Vec<(&'static str, String)>,
}

impl Scene {
    /// The incident's table as it was, and an edge without machines.
    pub async fn plain() -> Self {
        Self::behind(FlyEdge::builder()).await
    }

    pub async fn behind(edge: FlyEdgeBuilder) -> Self {
        let database = Database::fresh().await;
        database.incident_table().await;
        Self {
            database,
            edge: quick(edge).start().await.unwrap(),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// The same with all that ownership needs, and [`LANDED`] beating.
    pub async fn migrated() -> Self {
        let scene = Self::plain().await;
        scene.migrate().await;
        scene
    }

    pub async fn migrate(&self) {
        self.database.execute(PostgresDirectory::MIGRATION).await;
        self.beat(LANDED, 0.0, "").await;
    }

    /// A machine's row, last written so many seconds ago; `more` sets more of it.
    pub async fn beat(&self, machine: &str, ago: f64, more: &str) {
        self.database
            .execute(&format!(
                "INSERT INTO ownership_machines (machine_id, boot_id, beat_at, steady_since)
                     VALUES ('{machine}', gen_random_uuid(), now() - interval '{ago} s',
                         now() - interval '1 day');
                 UPDATE ownership_machines SET beat_at = beat_at{more}
                     WHERE machine_id = '{machine}'"
            ))
            .await;
    }

    pub async fn session(&self, change: impl FnOnce(&mut PreviewSession)) -> Uuid {
        let mut session = PreviewSession::owned_by(OWNER);
        change(&mut session);
        self.database.insert(&session).await
    }

    /// A session of [`OWNER`]'s.
    pub async fn owned(&self) -> Uuid {
        self.session(|_| ()).await
    }

    /// A lookup as machines have it here.
    pub fn lookup(&self) -> PostgresLookup {
        PostgresLookup::builder(self.database.url())
            .build()
            .unwrap()
    }

    /// The same where ownership is kept.
    pub fn living_lookup(&self) -> PostgresLookup {
        let builder = PostgresLookup::builder(self.database.url());
        builder.ownership().build().unwrap()
    }

    /// A machine that answers 200 for what it owns, behind the edge.
    pub async fn machine(&self, id: &'static str, lookup: impl SessionLookup) {
        self.machine_with(id, lookup, |layer| layer).await;
    }

    pub async fn machine_with(
        &self,
        id: &'static str,
        lookup: impl SessionLookup,
        change: impl FnOnce(OwnershipLayerBuilder) -> OwnershipLayerBuilder,
    ) {
        let layer = OwnershipLayer::builder(lookup)
            .session(PathSegment::after("/session").unwrap())
            .machine(id.parse::<tower_ownership::MachineId>().unwrap())
            .replay(FlyReplay::new())
            .cache_policy(CachePolicy::always_ask())
            .expose_internals(true);
        let layer = change(layer).build().unwrap();
        let router = Router::new().fallback(async || "served").layer(layer);
        self.edge.add(id, serve(router).await);
    }

    /// A machine without the layer, which knows no session.
    pub async fn machine_without_the_layer(&self, id: &'static str) {
        let router = Router::new().fallback(async || (StatusCode::NOT_FOUND, "Session not found"));
        self.edge.add(id, serve(router).await);
    }

    /// What the doctor says of a session, with a request through the edge.
    pub async fn diagnose(&self, session: Uuid) -> Diagnosed {
        let url = self.edge.url("");
        self.diagnose_with(session, &["--url", &url]).await
    }

    /// What the doctor says without one.
    pub async fn examine(&self, session: Uuid) -> Diagnosed {
        self.diagnose_with(session, &[]).await
    }

    pub async fn diagnose_with(&self, session: Uuid, more: &[&str]) -> Diagnosed {
        let (session, database) = (session.to_string(), self.database.url());
        let mut arguments = vec!["doctor", "--json", &session];
        if !more.contains(&"--database") {
            arguments.extend(["--database", &database]);
        }
        arguments.extend(self.arguments.iter().map(String::as_str));
        arguments.extend(more);
        let variables: Vec<(&str, &str)> = self
            .variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let said = run(&arguments, &variables).await;
        Diagnosed {
            document: said.json(),
            status: said.status,
        }
    }
}

/// An edge whose failures come quickly, with fresh requests landing on [`LANDED`].
fn quick(edge: FlyEdgeBuilder) -> FlyEdgeBuilder {
    edge.land_on(LANDED)
        .connect_attempts(2)
        .connect_pause(Duration::from_millis(1))
}

/// An application that serves whatever it is asked for, and says on which machine.
pub fn serving(id: &'static str) -> Router {
    Router::new().fallback(async move || ([("fly-machine-id", id)], "served"))
}

/// A diagnosis, as scripts read it.
#[derive(Debug)]
pub struct Diagnosed {
    pub document: Value,
    pub status: i32,
}

impl Diagnosed {
    #[track_caller]
    pub fn is(&self, cause: &str, sentence: &str) -> &Self {
        self.ends(1, cause, sentence)
    }

    #[track_caller]
    pub fn ends(&self, status: i32, cause: &str, sentence: &str) -> &Self {
        assert_eq!(self.document["finding"], cause, "{:#}", self.document);
        let told = self.document["sentence"].as_str().unwrap();
        assert!(told.contains(sentence), "{told}");
        assert_eq!(self.status, status);
        assert_ne!(self.document["nextStep"], "");
        self
    }

    /// A point that was looked at: its state, and what was found.
    pub fn check(&self, name: &str) -> (&str, &str) {
        let checks = self.document["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        let check = check.unwrap_or_else(|| panic!("no {name:?} in {:#}", self.document));
        (
            check["state"].as_str().unwrap(),
            check["text"].as_str().unwrap(),
        )
    }
}
