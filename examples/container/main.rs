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
//! | `OWNERSHIP_LIFE` | `on`: it beats, claims what nobody owns, takes over from lost owners and gives up what it owns when it is asked to stop; the migration has to be applied | it only reads who the owner is |
//! | `OWNERSHIP_FRESHNESS_MS` | F, the same for the whole fleet | 5000 |
//! | `OWNERSHIP_BEAT_MS`, `OWNERSHIP_LOST_AFTER_MS` | how often it beats, and after what silence others take it for lost | 3000, 15000 |
//! | `OWNERSHIP_DRAIN_MS` | how long giving up may take | 10000 |
//! | `RUST_LOG` | what is logged | `info` |

// An example exports nothing.
#![allow(unreachable_pub)]

mod application;
mod life;
mod readiness;
mod settings;
mod state;

use std::{
    env,
    error::Error,
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal};
use tower_ownership::{
    OnLostOwner, OnUnassigned, OwnershipLayer, OwnershipLayerBuilder, PathSegment, PostgresLookup,
};
use uuid::Uuid;

use application::Application;
use life::Life;
use readiness::{Readiness, verify_in_the_background};
use settings::{Settings, directory_in_memory};
use state::States;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()))
        .init();
    let settings = Settings::read()?;
    let readiness = Readiness::new();
    let configured = |builder: OwnershipLayerBuilder| {
        let builder = builder
            .session(PathSegment::after("/session")?)
            .machine(settings.machine.clone())
            .freshness(settings.freshness)
            .replay(settings.replay.clone());
        Ok::<_, Box<dyn Error>>(builder)
    };
    let (mut states, mut life, mut _watch) = (None, None, None);
    let layer = if let Some(url) = &settings.database {
        states = Some(States::connect(url)?);
        let lookup = PostgresLookup::builder(url.as_str());
        let lookup = match settings.life {
            Some(life) => lookup.ownership().lost_after(life.lost_after).build()?,
            None => lookup.build()?,
        };
        let mut builder = configured(OwnershipLayer::builder(lookup.clone()))?;
        if settings.life.is_some() {
            builder = builder
                .directory(lookup.directory()?)
                .awaits_presence()
                .on_unassigned(OnUnassigned::Claim)
                .on_lost_owner(OnLostOwner::TakeOver);
        }
        let layer = builder.build()?;
        // Without the triggers in the database it hears of nothing, and does no harm.
        let mut watch = lookup.watch();
        if let Some(direct) = &settings.watch {
            watch = watch.direct(direct.as_str());
        }
        _watch = Some(watch.start(layer.cache())?);
        if let Some(settings) = settings.life {
            let (directory, cache) = (lookup.directory()?, layer.cache());
            life = Some(Life::begin(settings, directory, cache, readiness.clone()));
        }
        let machine = settings.machine.clone();
        verify_in_the_background(lookup, machine, readiness.clone());
        layer
    } else {
        configured(OwnershipLayer::builder(directory_in_memory()?))?.build()?
    };

    // Bound before the database is asked: a container that starts while the database is down
    // should be there to say so, and needs no restart when it comes back.
    let listener = bind(settings.port).await?;
    let application = Application {
        machine: settings.machine.clone(),
        process: Uuid::new_v4(),
        states,
    };
    let app = Router::new()
        .route("/healthz", get(health))
        .with_state((readiness, application.process))
        .merge(application.router())
        .layer(layer);
    tracing::info!(machine = %settings.machine, address = %listener.local_addr()?, "serving");
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            asked_to_stop().await;
            if let Some(life) = life {
                // It goes on answering meanwhile: with where to go, and with what it still owns.
                life.end().await;
            }
        })
        .await?;
    Ok(())
}

async fn health(State((readiness, process)): State<(Readiness, Uuid)>) -> Json<Value> {
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
