//! This machine's part in the life of ownerships: it beats, and gives up what it owns at its end.

use std::{
    process::exit,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::Mutex;
use tower_ownership::{
    Node, PostgresDirectory,
    health::{Check, HealthCheck},
    ownership::Heartbeat,
};

use crate::{readiness::Readiness, settings};

const PRESENCE: &str = "presence";

#[derive(Clone)]
pub struct Life {
    settings: settings::Life,
    presence: Arc<Mutex<Option<Heartbeat<PostgresDirectory>>>>,
    beats: Beats,
}

/// How the presence is, from when it has started.
type Beats = Arc<OnceLock<Box<dyn HealthCheck>>>;

impl Life {
    /// Registers this machine, as soon as the database can be reached. Until then it is not ready,
    /// and the layer serves no session: it is not checked yet whether the fleet has the same lease TTL.
    pub fn begin(
        settings: settings::Life,
        directory: PostgresDirectory,
        node: Node,
        readiness: Readiness,
    ) -> Self {
        readiness.waits(PRESENCE, "this machine is not registered yet");
        let life = Self {
            settings: settings.clone(),
            presence: Arc::default(),
            beats: Arc::default(),
        };
        let (presence, beats) = (Arc::clone(&life.presence), Arc::clone(&life.beats));
        tokio::spawn(async move {
            loop {
                let mut starts = directory
                    .heartbeat()
                    .interval(settings.beat)
                    .count_sessions_every(Duration::from_secs(30))
                    .version(env!("CARGO_PKG_VERSION"));
                // For people who read `ownership machines`.
                if let Ok(region) = std::env::var("FLY_REGION") {
                    starts = starts.region(region);
                }
                if let Ok(app) = std::env::var("FLY_APP_NAME") {
                    starts = starts.app(app);
                }
                if let Some(address) = settings.serves_at {
                    starts = starts.serves_at(address);
                }
                if let Some(peer) = &settings.peer {
                    starts = starts.address(peer);
                }
                match starts.start(&node).await {
                    Ok(started) => {
                        let _ = beats.set(Box::new(started.health_check()));
                        *presence.lock().await = Some(started);
                        readiness.is_there(PRESENCE);
                        return;
                    }
                    Err(error) if error.is_final() => {
                        tracing::error!(%error, "this machine may not take part");
                        exit(1);
                    }
                    Err(error) => readiness.waits(PRESENCE, error.to_string()),
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
        life
    }

    /// Whether others know that this machine is alive. That it was registered once says nothing of
    /// its beats since.
    pub fn health_check(&self) -> impl HealthCheck + use<> {
        let beats = Arc::clone(&self.beats);
        move || match beats.get() {
            Some(beats) => beats.check(),
            None => Check::failing("this machine is not registered yet"),
        }
    }

    /// Gives up what this machine owns, and leaves.
    pub async fn end(&self) {
        let Some(presence) = self.presence.lock().await.take() else {
            return;
        };
        match presence.drain(self.settings.drain).await {
            Ok(drained) => {
                let (released, ended) = (drained.released.len(), drained.ended.len());
                tracing::info!(released, ended, "drained");
            }
            Err(error) => tracing::warn!(%error, "not everything was given up"),
        }
        if let Err(error) = presence.leave().await {
            tracing::warn!(%error, "left without a word");
        }
    }
}
