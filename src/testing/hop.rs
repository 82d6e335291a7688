//! One delivery of one request to one machine.

use std::fmt;

use http::StatusCode;

/// Why a request was delivered to this machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HopKind {
    /// The first delivery: chosen by the edge, or by a request header of the client.
    Landed,
    /// The first delivery, chosen by an entry of the replay cache.
    CacheHit,
    /// A machine asked for it with a replay.
    Replayed,
    /// A replay reached no machine, and its `fallback` gave the request back.
    FellBack,
}

/// One delivery of one request to one machine, and what the machine answered.
///
/// Noted when the head of the answer is there, so before the client sees any of it. Prints as
/// `5683d9a1b2c3 409 fly-replay instance=e286544f716d89`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Hop {
    /// The `Fly-Request-Id` that the client gets back.
    pub request_id: String,
    /// The machine it was delivered to.
    pub machine: String,
    /// Why there.
    pub kind: HopKind,
    /// The status of the answer; `None` if the machine took the connection but gave no answer.
    pub status: Option<StatusCode>,
    /// The replay that the machine answered with: the header's text, or the JSON document.
    /// At most 4,096 bytes of it. Present even where the edge was told not to honour it.
    pub replay: Option<String>,
    /// For [`HopKind::FellBack`], why the replay failed: `timeout`, `retries_exhausted` or
    /// `no_candidate`.
    pub reason: Option<String>,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.machine)?;
        match self.kind {
            HopKind::CacheHit => f.write_str(" (cache hit)")?,
            HopKind::FellBack => write!(
                f,
                " (fallback: {})",
                self.reason.as_deref().unwrap_or("unknown")
            )?,
            HopKind::Landed | HopKind::Replayed => {}
        }
        match self.status {
            Some(status) => write!(f, " {}", status.as_u16())?,
            None => f.write_str(" no answer")?,
        }
        if let Some(replay) = &self.replay {
            write!(f, " fly-replay {replay}")?;
        }
        Ok(())
    }
}
