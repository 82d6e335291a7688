//! What people write by hand, beside the layer: the same table, driver and pool.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::get,
};
use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{NoTls, Row as SqlRow};
use tower::Service as _;
use tower_ownership::{CachePolicy, OwnershipLayerBuilder, PostgresLookup, SessionId};
use uuid::Uuid;

use crate::{
    common::setup::{ME, layer},
    row::{Calls, Requests, Row},
    support::{database::Database, postgres::Cluster},
};

const SESSIONS: u32 = 10_000;
const BATCH: u32 = 16;

const QUERY: &str = "SELECT container_id FROM preview_sessions
    WHERE id = $1 AND status = 'active' AND ended_at IS NULL AND expires_at > now()";

/// The server, and requests for sessions that this machine owns; the first row is what the others
/// are compared with.
pub(crate) fn rows() -> (Cluster, (Row, Vec<Row>)) {
    let quiet = vec![
        "log_statement=none".to_owned(),
        "log_connections=off".to_owned(),
    ];
    let cluster = Cluster::prepared(|_| quiet).expect("PostgreSQL");
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = Arc::new(runtime.expect("a runtime"));
    let (database, ids) = runtime.block_on(sessions(&cluster));

    let row = |name, router| {
        let requests = Requests::for_sessions(&ids);
        Row::new(name, BATCH, requests, calls(&runtime, router))
    };
    let by_hand = |prepared| {
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(database.config(), NoTls, manager);
        let pool = Pool::builder(manager).build().expect("a pool");
        app().layer(from_fn_with_state(ByHand { pool, prepared }, only_mine))
    };
    let ours = |with: fn(OwnershipLayerBuilder) -> OwnershipLayerBuilder| {
        let lookup = PostgresLookup::builder(database.url()).build();
        app().layer(layer(lookup.expect("a lookup"), with))
    };
    let rows = vec![
        row("by hand, beside itself", by_hand(true)),
        row("by hand, without the statement cache", by_hand(false)),
        row(
            "this layer, made to ask every time",
            ours(|builder| builder.cache_policy(CachePolicy::always_ask())),
        ),
        row("this layer", ours(|builder| builder)),
        row("no middleware, no query", app()),
    ];
    (cluster, (row("by hand", by_hand(true)), rows))
}

/// The incident's table, with sessions of this machine in it.
async fn sessions(cluster: &Cluster) -> (Database, Vec<SessionId>) {
    let database = cluster.database().await;
    database.incident_table().await;
    let filled = format!(
        "INSERT INTO preview_sessions (id, status, container_id, expires_at)
             SELECT gen_random_uuid(), 'active', '{ME}', now() + interval '1 day'
             FROM generate_series(1, {SESSIONS});
         ANALYZE preview_sessions"
    );
    database.execute(&filled).await;
    let client = database.client().await;
    let rows = client.query("SELECT id FROM preview_sessions", &[]).await;
    let id = |row: &SqlRow| row.get::<_, Uuid>(0).into();
    (database, rows.expect("ids").iter().map(id).collect())
}

fn app() -> Router {
    Router::new().route("/session/{id}/{*path}", get(|| async { "hello" }))
}

fn calls(runtime: &Arc<Runtime>, mut router: Router) -> Calls {
    let runtime = Arc::clone(runtime);
    Box::new(move |batch| {
        runtime.block_on(async {
            for request in batch.drain(..) {
                let Ok::<_, Infallible>(response) = router.call(request).await;
                assert_eq!(response.status(), StatusCode::OK);
            }
        });
    })
}

#[derive(Clone)]
struct ByHand {
    pool: Pool,
    prepared: bool,
}

impl ByHand {
    async fn owner(&self, id: Uuid) -> Result<Option<String>, PoolError> {
        let client = self.pool.get().await?;
        let row = if self.prepared {
            let statement = client.prepare_cached(QUERY).await?;
            client.query_opt(&statement, &[&id]).await?
        } else {
            client.query_opt(QUERY, &[&id]).await?
        };
        Ok(row.and_then(|row| row.get(0)))
    }
}

/// The middleware that a team writes in an hour: no bounds, no hops, no refusals with a reason.
async fn only_mine(State(state): State<ByHand>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let segment = path
        .strip_prefix("/session/")
        .and_then(|rest| rest.split('/').next());
    let Some(id) = segment.and_then(|id| Uuid::parse_str(id).ok()) else {
        return next.run(request).await;
    };
    match state.owner(id).await {
        Ok(Some(owner)) if owner == ME => next.run(request).await,
        Ok(Some(owner)) => {
            let replay = [("fly-replay", format!("instance={owner}"))];
            (StatusCode::CONFLICT, replay).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
