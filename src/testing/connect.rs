//! Reaching one of several machines, in bounded time.
//!
//! A connection is opened per delivery and never pooled. That costs a handshake on the loopback,
//! and makes the one distinction the reference insists on exact: a replay failed if no connection
//! to a target was made, and only then.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::event::EdgeErrorKind;
use super::machine::Slot;
use super::settings::Settings;
use super::tasks::Tasks;

/// A machine that took the connection.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) slot: Arc<Slot>,
    pub(super) stream: TcpStream,
}

/// Why no machine took a connection.
#[derive(Clone, Debug)]
pub(super) struct Unreached {
    pub(super) kind: EdgeErrorKind,
    pub(super) detail: String,
}

impl Unreached {
    /// `reason` of `fly-replay-failed` (Fly docs: Dynamic Request Routing).
    pub(super) fn reason(&self) -> &'static str {
        match self.kind {
            EdgeErrorKind::ConnectTimeout => "timeout",
            EdgeErrorKind::RetriesExhausted | EdgeErrorKind::WakeFailed => "retries_exhausted",
            _ => "no_candidate",
        }
    }
}

/// Tries the candidates in turn, several times, for at most `budget`.
pub(super) async fn reach(
    tasks: &Tasks,
    settings: &Settings,
    candidates: &[Arc<Slot>],
    budget: Duration,
) -> Result<Reached, Unreached> {
    if candidates.is_empty() {
        return Err(Unreached {
            kind: EdgeErrorKind::NoCandidate,
            detail: "no machine matches".into(),
        });
    }
    match timeout(budget, attempts(tasks, settings, candidates)).await {
        Ok(result) => result,
        Err(_) => Err(Unreached {
            kind: EdgeErrorKind::ConnectTimeout,
            detail: format!("no connection within {budget:?}"),
        }),
    }
}

async fn attempts(
    tasks: &Tasks,
    settings: &Settings,
    candidates: &[Arc<Slot>],
) -> Result<Reached, Unreached> {
    let mut last = Unreached {
        kind: EdgeErrorKind::RetriesExhausted,
        detail: "not tried".into(),
    };
    for attempt in 0..settings.connect_attempts.max(1) {
        if attempt > 0 {
            sleep(settings.connect_pause).await;
        }
        for slot in candidates {
            match attempt_one(tasks, settings, slot).await {
                Ok(stream) => {
                    return Ok(Reached {
                        slot: Arc::clone(slot),
                        stream,
                    });
                }
                Err(unreached) => last = unreached,
            }
        }
    }
    Err(last)
}

async fn attempt_one(
    tasks: &Tasks,
    settings: &Settings,
    slot: &Arc<Slot>,
) -> Result<TcpStream, Unreached> {
    let addr = slot.addr(tasks).await.map_err(|error| Unreached {
        kind: EdgeErrorKind::WakeFailed,
        detail: format!("{}: wake hook: {error}", slot.id),
    })?;
    let exhausted = |detail: String| Unreached {
        kind: EdgeErrorKind::RetriesExhausted,
        detail: format!("{} at {addr}: {detail}", slot.id),
    };
    match timeout(settings.connect_timeout, TcpStream::connect(addr)).await {
        Ok(Ok(stream)) => {
            // Events of a stream should not wait for Nagle; a socket without the option still works.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(exhausted(error.to_string())),
        Err(_) => Err(exhausted(format!(
            "no connection within {:?}",
            settings.connect_timeout
        ))),
    }
}
