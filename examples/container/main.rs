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
//! | `OWNERSHIP_SESSION` | where a request names its session: `path:/session`, `header:<name>`, `cookie:<name>` or `query:<name>` | `path:/session` |
//! | `OWNERSHIP_IDS` | which ids sessions have: `uuid`, or `text` for names (the column is then a `text`) | `uuid` |
//! | `MACHINE_ID` | this machine | what the platform says |
//! | `OWNERSHIP_HANDOVER` | how requests get to a session's owner: `fly`, `nginx` (`examples/nginx`), `redirect:https://{owner}.example.com`, or without any proxy: `forward` to the addresses that machines write, `forward:http://{owner}.example.internal:8080` to others (feature `forward`) | `fly` |
//! | `OWNERSHIP_PEER` | where other machines reach this one, such as `http://10.0.0.7:8080`: what it writes with its heartbeat | nowhere |
//! | `OWNERSHIP_PEER_ALLOW` | for `forward`, which is refused without: the names and networks that requests may be carried to, such as `10.0.0.0/8,*.example.internal` | |
//! | `OWNERSHIP_PEER_TIMEOUT_MS` | for `forward`: how long an owner may take to begin its answer | 60000 |
//! | `OWNERSHIP_LIFE` | `beat`: it beats; `on`: it also claims sessions without an owner and takes over from lost owners. Either way it gives up what it owns when it is asked to stop, and the migration has to be applied | it only reads who the owner is |
//! | `OWNERSHIP_FRESHNESS_MS` | F, the same for the whole fleet | 5000 |
//! | `OWNERSHIP_BEAT_MS`, `OWNERSHIP_LOST_AFTER_MS` | how often it beats, and after what silence others take it for lost | 3000, 15000 |
//! | `OWNERSHIP_DRAIN_MS` | how long giving up may take, and open responses | 10000 |
//! | `OWNERSHIP_LINGER_MS` | how long it goes on answering after the signal to stop, while its proxy still sends requests | 5000 |
//! | `OWNERSHIP_HEADER` | a second layer serves `/by-header/…` and finds the session in this header | one layer, by the path |
//! | `OWNERSHIP_AUDIT_MS` | how often a machine that beats looks for what is wrong with the fleet; 0: never | 60000 |
//! | `OWNERSHIP_PROBE_SECRET` | at least 16 bytes, the same on all machines: they answer each other's probes. The crate has to be built with its feature `probe` | they answer none |
//! | `OWNERSHIP_PROBE_URL`, `OWNERSHIP_PROBE_SESSION` | it probes `https://app.example.com/session/{session}`, the public address, for this session; `/health/` shows what became of it | it does not probe |
//! | `OWNERSHIP_PROBE_HEADER` | a header of the probe, such as `cookie: sid={session}` | none |
//! | `OWNERSHIP_PROBE_MS` | how often | 60000 |
//! | `OWNERSHIP_SHOW_INTERNALS` | `on`: refusals name the machine and the owner, and all answers the machine in `Ownership-Machine` | they do not |
//! | `OWNERSHIP_DEBUG_TOKEN` | lets a client that sends it as `Authorization: Bearer …` ask `/debug/explain?path=/session/…` what would become of a request | no client may |
//! | `RUST_LOG` | what is logged | `info` |
//!
//! `POST /session` creates a session here: 201, its `Location`, and `{"session", "machine"}`; `?id=` asks for
//! a name, and 409 says that it is taken. `DELETE /session/<id>` ends it: 204. With a database that needs
//! `OWNERSHIP_LIFE`. The response carries the id also where the request will: in a cookie or a header.
//!
//! `/healthz` says that it is up, `/health/ready` whether it should get requests and `/health/` why
//! not; `/metrics` is for Prometheus, where the crate was built with its feature `metrics`.

// An example exports nothing.
#![allow(unreachable_pub)]

mod application;
mod audit;
mod counted;
mod explain;
mod layer;
mod life;
mod ownership;
mod probing;
mod readiness;
mod sessions;
mod settings;
mod state;

use std::{
    env,
    error::Error,
    future::{IntoFuture as _, pending},
    io,
    net::{Ipv4Addr, Ipv6Addr},
    process::ExitCode,
};

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};
use tower_ownership::shutdown_signal;
use uuid::Uuid;

use application::Application;
use ownership::Ownership;
use readiness::Readiness;
use sessions::Sessions;
use settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        // Where its other lines go, in words: what `main` returns would be printed as Rust has it.
        Err(error) => {
            tracing::error!(error = &*error, "this container cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::read()?;
    let readiness = Readiness::new();
    // Before the layer is built, which registers what it counts.
    let counted = counted::install()?;
    let Ownership {
        layer,
        by_header,
        states,
        life,
        health,
        _feed,
    } = Ownership::build(&settings, &readiness)?;

    // Bound before the database is asked: a container that starts while the database is down
    // should be there to say so, and needs no restart when it comes back.
    let listener = bind(settings.port).await?;
    let sessions = Sessions {
        machine: settings.machine.clone(),
        place: settings.place.clone(),
        registrar: layer.registrar(),
    };
    let application = Application {
        machine: settings.machine.clone(),
        process: Uuid::new_v4(),
        states,
        is_shown: settings.expose_internals,
    };
    let mut app = Router::new()
        .route("/healthz", get(is_up))
        .with_state((readiness, application.process))
        .route("/metrics", get(async move || counted.render()))
        .nest_service("/health", health)
        .merge(application.clone().router())
        .merge(sessions.router());
    if let Some(layer) = by_header {
        let router = application.router_by_header();
        app = app.merge(probing::layered(router, &layer, &settings)?);
    }
    if let Some(token) = &settings.debug_token {
        app = app.merge(explain::router(token.clone(), layer.clone()));
    }
    let app = probing::layered(app, &layer, &settings)?;
    let stop = shutdown_signal();
    tracing::info!(machine = %settings.machine, address = %listener.local_addr()?, "serving");
    let (drains, drained) = oneshot::channel();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop.await;
        tracing::info!("asked to stop: finishing what is under way");
        let limit = Instant::now() + settings.drain.max(settings.linger);
        // It goes on answering meanwhile: with where to go, and with what it still owns.
        let ends = async {
            if let Some(life) = life {
                life.end().await;
            }
        };
        tokio::join!(ends, sleep(settings.linger));
        let _ = drains.send(limit);
    });
    // What `RunningNode::serve` does for a `Node`: a graceful shutdown alone waits for each open stream, those
    // that are carried to other machines among them.
    let limit = async {
        match drained.await {
            Ok(limit) => sleep_until(limit).await,
            Err(_) => pending().await,
        }
    };
    tokio::select! {
        ended = server.into_future() => ended?,
        () = limit => tracing::warn!("responses are still open; they end with this process"),
    }
    Ok(())
}

async fn is_up(State((readiness, process)): State<(Readiness, Uuid)>) -> Json<Value> {
    let why_not = readiness.why_not();
    Json(json!({
        "status": "ok",
        "process": process,
        "ready": why_not.is_none(),
        "reason": why_not,
    }))
}

/// Both families where there are two: Fly's proxy comes by IPv4, its private network by IPv6.
async fn bind(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
    }
}
