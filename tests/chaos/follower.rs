//! Who looks closely at a machine while something happens to it: by many requests, past the edge,
//! which would send only some of them there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::client::{Address, Client, Layer};
use crate::fleet::Fleet;
use crate::history::{Kind, Outcome};

/// Writes that come at once: more than the application has connections to write by, so that some
/// are inside of their handlers at any moment.
const BURST: usize = 40;

/// For as long as a fault and what it leads to.
const FOLLOWS: Duration = Duration::from_secs(5);

/// Goes on asking the machine for sessions that it owns, and the edge, wherever they are by then.
pub fn follow(fleet: &Arc<Fleet>, machine: &Address, sessions: &[Uuid]) {
    let until = Instant::now() + FOLLOWS;
    for &session in sessions {
        for (kind, layer) in [
            (Kind::Read, Layer::ByPath),
            (Kind::Write, Layer::ByPath),
            (Kind::Read, Layer::ByHeader),
        ] {
            let (client, machine) = (Client::new(fleet), machine.clone());
            fleet.in_background(async move {
                while Instant::now() < until {
                    let outcome = client.ask_directly(&machine, session, kind, layer).await;
                    if matches!(outcome, Outcome::Broken(_)) {
                        return;
                    }
                    sleep(Duration::from_millis(30)).await;
                }
            });
        }
        let client = Client::new(fleet);
        fleet.in_background(async move {
            while Instant::now() < until {
                client.ask(session, Kind::Read, Layer::ByPath).await;
                sleep(Duration::from_millis(50)).await;
            }
        });
    }
}

/// Has the machine write for its sessions, as much as it can, at once.
pub fn burst(fleet: &Arc<Fleet>, machine: &Address, sessions: &[Uuid]) {
    let client = Client::new(fleet);
    for session in sessions.iter().cycle().take(BURST) {
        let (client, machine, session) = (client.clone(), machine.clone(), *session);
        fleet.in_background(async move {
            client
                .ask_directly(&machine, session, Kind::Write, Layer::ByPath)
                .await;
        });
    }
}

/// Asks the older of two processes until it is gone, as a client that knows only its address would.
pub fn ask_elder(fleet: &Arc<Fleet>, elder: Address) {
    let client = Client::new(fleet);
    let mut dice = fastrand::Rng::with_seed(fleet.settings.seed ^ u64::from(elder.1.port()));
    fleet.in_background(async move {
        loop {
            let sessions = client.fleet().recorder.lock().sessions.clone();
            let recent = sessions.len().saturating_sub(40);
            if let Some(session) = dice.choice(&sessions[recent..]) {
                // Either layer of it.
                let layer = if dice.bool() {
                    Layer::ByPath
                } else {
                    Layer::ByHeader
                };
                let outcome = client
                    .ask_directly(&elder, *session, Kind::Read, layer)
                    .await;
                if matches!(outcome, Outcome::Broken(_)) {
                    return;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
}
