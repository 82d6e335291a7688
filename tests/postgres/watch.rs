//! `PostgresFeed` against the real thing, and what a user notices of it.
//!
//! What is cached is kept for a quarter of an hour here, unless a test says otherwise: a change that
//! is seen was heard of.

mod changes;
mod channel;
#[cfg(feature = "metrics")]
mod counted;
mod end;
mod health;
mod log;
mod loss;
mod migration;
mod password;
mod pooler;
mod silence;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_ownership::{
    CachePolicy, FlyReplay, MachineId, Owned, OwnershipLayer, PathSegment, Rejection,
    SessionLookup,
    ownership::{Feed, FeedBuilder, FeedHealth, FeedState},
    postgres::{PostgresFeed, PostgresFeedBuilder},
};
use uuid::Uuid;

use crate::support::database::Database;
use crate::support::incident::{PreviewSession, lookup};

/// As long as it goes, so that nothing is seen because it became old.
fn long() -> CachePolicy {
    CachePolicy::new()
        .owned(CachePolicy::LONGEST)
        .elsewhere(CachePolicy::LONGEST)
        .unknown(CachePolicy::LONGEST)
}

fn layer(machine: &str, lookup: impl SessionLookup, freshness: CachePolicy) -> OwnershipLayer {
    OwnershipLayer::builder(lookup)
        .session(PathSegment::after("/session").unwrap())
        .machine(machine.parse::<MachineId>().unwrap())
        .replay(FlyReplay::new())
        .cache_policy(freshness)
        .build()
        .unwrap()
}

/// What a client is told that asks a machine for a session: `served`, `to m2`, or the code of the
/// refusal.
async fn ask(layer: &OwnershipLayer, id: Uuid) -> String {
    let application = service_fn(async |request: Request<String>| {
        let text = match request.extensions().get::<Owned>() {
            Some(owned) => owned.id().to_string(),
            None => String::new(),
        };
        Ok::<_, Infallible>(Response::new(text))
    });
    let request = Request::get(format!("/session/{id}/page"))
        .body(String::new())
        .unwrap();
    let response = layer.layer(application).oneshot(request).await.unwrap();
    if let Some(replay) = response.headers().get("fly-replay") {
        let replay = replay.to_str().unwrap();
        let owner = replay.strip_prefix("instance=").unwrap();
        return format!("to {}", owner.split(';').next().unwrap());
    }
    match response.extensions().get::<Rejection>() {
        Some(rejection) => rejection.code().as_str().to_owned(),
        None => "served".to_owned(),
    }
}

/// Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until the answer is this one.
async fn becomes(layer: &OwnershipLayer, id: Uuid, answer: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = ask(layer, id).await;
        if now == answer {
            return;
        }
        assert!(Instant::now() < deadline, "still {now:?}, not {answer:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Looks at a watch until it is like this.
async fn until(watch: &Feed, is_so: impl Fn(&FeedHealth) -> bool) -> FeedHealth {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = watch.health();
        if is_so(&health) {
            return health;
        }
        assert!(Instant::now() < deadline, "never: {health:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until a watch listens.
async fn listening(watch: &Feed) {
    let listens = tokio::time::timeout(PATIENCE, watch.listening()).await;
    listens.unwrap_or_else(|_| panic!("{watch:?}"));
}

fn is_down(health: &FeedHealth) -> bool {
    matches!(health.state, FeedState::Down { .. })
}

/// Waits until the watch has read all that the channel holds now, and returns how many changes it
/// was told of before.
async fn told(database: &Database, watch: &Feed) -> u64 {
    // Notifications arrive in the order of their commits, so what this one changes comes last.
    let garbage = watch.health().unreadable;
    database
        .execute("NOTIFY tower_ownership, 'that is all'")
        .await;
    until(watch, |health| health.unreadable > garbage)
        .await
        .changes
}

/// One machine of a fleet.
struct Machine {
    layer: OwnershipLayer,
    watch: Feed,
}

impl Machine {
    async fn start(name: &str, database: &Database) -> Self {
        Self::with(name, database, long(), |watch| watch).await
    }

    async fn with(
        name: &str,
        database: &Database,
        freshness: CachePolicy,
        set: impl FnOnce(PostgresFeedBuilder) -> PostgresFeedBuilder,
    ) -> Self {
        Self::following(name, database, freshness, set, |feed| feed).await
    }

    async fn following(
        name: &str,
        database: &Database,
        freshness: CachePolicy,
        set: impl FnOnce(PostgresFeedBuilder) -> PostgresFeedBuilder,
        follow: impl FnOnce(FeedBuilder<PostgresFeed>) -> FeedBuilder<PostgresFeed>,
    ) -> Self {
        let lookup = lookup(database);
        let layer = layer(name, lookup.clone(), freshness);
        let feed = set(lookup.change_feed()).build().unwrap();
        let watch = follow(Feed::builder(feed)).start(layer.cache()).unwrap();
        listening(&watch).await;
        Self { layer, watch }
    }

    async fn ask(&self, id: Uuid) -> String {
        ask(&self.layer, id).await
    }

    async fn becomes(&self, id: Uuid, answer: &str) {
        becomes(&self.layer, id, answer).await;
    }
}

/// A database with the incident's table, its triggers, and one session of m1.
async fn with_session() -> (Database, Uuid) {
    let database = Database::fresh().await;
    database.incident_table().await;
    database.execute(PostgresFeed::MIGRATION).await;
    let id = database.insert(&PreviewSession::owned_by("m1")).await;
    (database, id)
}

async fn give(database: &Database, id: Uuid, machine: &str) {
    database
        .execute(&format!(
            "UPDATE preview_sessions SET container_id = '{machine}' WHERE id = '{id}'"
        ))
        .await;
}
