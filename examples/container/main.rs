//! A complete container, configured by its environment alone, as one would deploy it.
//!
//! ```sh
//! MACHINE_ID=a OWNERSHIP_SESSIONS=807efe44-d63e-4a24-88f5-dbe96112830a=a cargo run --example container
//! ```
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `PORT` | where it listens | 8080 |
//! | `DATABASE_URL` | the `PostgreSQL` that holds `preview_sessions` | a directory in memory |
//! | `OWNERSHIP_WATCH_URL` | the same `PostgreSQL` without a pooler, to hear of changes | `DATABASE_URL` |
//! | `OWNERSHIP_SESSIONS` | that directory, as `session=machine,session=machine` | empty |
//! | `MACHINE_ID` | this machine | what the platform says |
//! | `OWNERSHIP_REDIRECT` | a redirect such as `https://{owner}.example.com` | Fly's replay |
//! | `RUST_LOG` | what is logged | `info` |

use std::{
    env,
    error::Error,
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Request, WebSocketUpgrade, ws::Message},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response, Sse, sse::Event},
    routing::{any, get, post},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{net::TcpListener, signal, sync::watch};
use tower_ownership::{
    FlyReplay, MachineId, MachineIdentity, MemoryLookup, Owned, OwnershipLayer, PathSegment,
    PostgresLookup, Redirect, Replay, Session, identity::detect,
};

/// Why this container is not ready; `None` when it is.
type Readiness = watch::Receiver<Option<String>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
        .init();
    let machine = match variable("MACHINE_ID") {
        Some(id) => id.parse()?,
        None => detect().machine_id()?,
    };
    let replay: Arc<dyn Replay> = match variable("OWNERSHIP_REDIRECT") {
        Some(template) => Arc::new(Redirect::to_template(&template)?),
        None => Arc::new(FlyReplay::new()),
    };
    let database = match variable("DATABASE_URL") {
        Some(url) => Some(PostgresLookup::builder(url.as_str()).build()?),
        None => None,
    };
    let builder = match &database {
        Some(lookup) => OwnershipLayer::builder(lookup.clone()),
        None => OwnershipLayer::builder(directory_in_memory()?),
    };
    let layer = builder
        .session(PathSegment::after("/session")?)
        .machine(machine.clone())
        .replay(replay)
        .build()?;
    let (ready, _watch) = match database {
        Some(lookup) => {
            // Without the triggers in the database it hears of nothing, and does no harm.
            let mut watch = lookup.watch();
            if let Some(direct) = variable("OWNERSHIP_WATCH_URL") {
                watch = watch.direct(direct);
            }
            let ready = verify_in_the_background(lookup, machine.clone());
            (ready, Some(watch.start(layer.cache())?))
        }
        None => (watch::channel(None).1, None),
    };

    // Bound before the database is asked: a container that starts while the database is down
    // should be there to say so, and needs no restart when it comes back.
    let listener = bind(variable("PORT").map_or(Ok(8080), |port| port.parse())?).await?;
    tracing::info!(%machine, address = %listener.local_addr()?, "serving");
    let app = router(machine, ready).layer(layer);
    axum::serve(listener, app)
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    Ok(())
}

fn router(machine: MachineId, ready: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/session/{id}", any(anything))
        .route("/session/{id}/{*rest}", any(anything))
        .route("/session/{id}/upload", post(upload).get(anything))
        .route("/session/{id}/ws", get(echo))
        .route("/session/{id}/events", get(events))
        .layer(Extension(machine))
        .layer(Extension(ready))
}

async fn health(Extension(ready): Extension<Readiness>) -> Json<Value> {
    let why_not = ready.borrow().clone();
    Json(json!({ "status": "ok", "ready": why_not.is_none(), "reason": why_not }))
}

async fn anything(
    Extension(machine): Extension<MachineId>,
    Extension(owned): Extension<Owned>,
    uri: Uri,
) -> Json<Value> {
    Json(json!({
        "machine": machine.as_str(),
        "session": owned.id().to_string(),
        "path": uri.path(),
    }))
}

async fn upload(
    Extension(machine): Extension<MachineId>,
    Extension(owned): Extension<Owned>,
    request: Request,
) -> Result<Json<Value>, Response> {
    let (mut bytes, mut hash) = (0, Sha256::new());
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()).into_response())?;
        bytes += chunk.len();
        hash.update(&chunk);
    }
    let sha256 = hash
        .finalize()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    Ok(Json(json!({
        "machine": machine.as_str(),
        "session": owned.id().to_string(),
        "bytes": bytes,
        "sha256": sha256,
    })))
}

async fn echo(upgrade: WebSocketUpgrade) -> Response<Body> {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            let text = matches!(message, Message::Text(_));
            if text && socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

async fn events(
    Extension(machine): Extension<MachineId>,
    Extension(owned): Extension<Owned>,
) -> impl IntoResponse {
    let (machine, session) = (machine.to_string(), owned.id().to_string());
    Sse::new(stream::iter(1..=5).then(move |number| {
        let data = json!({ "machine": machine, "session": session, "number": number });
        async move {
            if number > 1 {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Event::default().json_data(data)
        }
    }))
}

/// Asks the database whether everything is as the lookup expects it, until it says so.
fn verify_in_the_background(lookup: PostgresLookup, machine: MachineId) -> Readiness {
    let (tell, ready) = watch::channel(Some("the database was not asked yet".to_owned()));
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(250);
        loop {
            match lookup.verify(&machine).await {
                Ok(_) => {
                    tracing::info!("ready: the session directory is as expected");
                    tell.send_replace(None);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "not ready: the session directory cannot be used");
                    tell.send_replace(Some(error.to_string()));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    });
    ready
}

fn directory_in_memory() -> Result<MemoryLookup, Box<dyn Error>> {
    let lookup = MemoryLookup::new();
    for assignment in variable("OWNERSHIP_SESSIONS")
        .iter()
        .flat_map(|list| list.split(','))
    {
        let (session, owner) = assignment
            .split_once('=')
            .ok_or_else(|| format!("OWNERSHIP_SESSIONS: {assignment:?} is not session=machine"))?;
        lookup.insert(Session::owned_by(
            session.trim().parse()?,
            owner.trim().parse()?,
        ));
    }
    tracing::warn!("DATABASE_URL is not set: sessions are looked up in this process's memory");
    Ok(lookup)
}

/// An empty variable is an unset one, as in most deployment tools.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Both families where there are two: Fly's proxy comes by IPv4, its private network by IPv6.
async fn bind(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
    }
}

async fn asked_to_stop() {
    let interrupted = signal::ctrl_c();
    let Ok(mut terminated) = signal::unix::signal(signal::unix::SignalKind::terminate()) else {
        return interrupted.await.unwrap_or_default();
    };
    tokio::select! {
        _ = interrupted => {}
        _ = terminated.recv() => {}
    }
    tracing::info!("asked to stop: finishing what is under way");
}
