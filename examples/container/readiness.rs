//! Whether this container is ready, and why not.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::sync::watch;
use tower_ownership::{MachineId, PostgresLookup, health::Check};

/// What each part waits for; ready when no part waits for anything.
#[derive(Clone)]
pub struct Readiness {
    reasons: Arc<watch::Sender<Vec<(&'static str, String)>>>,
}

impl Readiness {
    pub fn new() -> Self {
        Self {
            reasons: Arc::new(watch::Sender::new(Vec::new())),
        }
    }

    pub fn waits(&self, part: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.reasons.send_modify(|reasons| {
            reasons.retain(|(other, _)| *other != part);
            reasons.push((part, reason));
        });
    }

    pub fn is_there(&self, part: &'static str) {
        self.reasons
            .send_modify(|reasons| reasons.retain(|(other, _)| *other != part));
    }

    pub fn why_not(&self) -> Option<String> {
        let reasons = self.reasons.borrow();
        reasons.first().map(|(_, reason)| reason.clone())
    }
}

impl Readiness {
    /// The same, for the health service.
    pub fn check(&self) -> Check {
        match self.why_not() {
            None => Check::ok("it has started"),
            Some(reason) => Check::failing(reason),
        }
    }
}

const DIRECTORY: &str = "directory";

/// Asks the database whether everything is as the lookup expects it, until it says so.
pub fn verify_in_the_background(lookup: PostgresLookup, machine: MachineId, readiness: Readiness) {
    readiness.waits(DIRECTORY, "the database was not asked yet");
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(250);
        loop {
            match lookup.verify(&machine).await {
                Ok(_) => {
                    tracing::info!("ready: the session directory is as expected");
                    readiness.is_there(DIRECTORY);
                    return;
                }
                Err(error) => {
                    // With what caused it: that it cannot be asked is not yet why.
                    let cause: &(dyn Error + 'static) = &error;
                    tracing::warn!(
                        error = cause,
                        "not ready: the session directory cannot be used"
                    );
                    readiness.waits(DIRECTORY, error.to_string());
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    });
}
