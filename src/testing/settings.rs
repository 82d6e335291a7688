//! Everything about an edge that is fixed at its start.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::session_cache::EdgeSessionCache;

/// See [`FlyEdgeBuilder`](super::FlyEdgeBuilder) for what each of them means.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) listen: SocketAddr,
    pub(super) app: String,
    pub(super) region: String,
    pub(super) body_limit: usize,
    pub(super) body_wait: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) connect_attempts: u32,
    pub(super) connect_pause: Duration,
    pub(super) replay_timeout: Duration,
    pub(super) answer_timeout: Duration,
    pub(super) linger: Duration,
    pub(super) cache_capacity: usize,
    pub(super) log_capacity: usize,
    pub(super) max_connections: usize,
    pub(super) pass_forged_headers: bool,
    pub(super) honour_replay: bool,
    pub(super) land_on: Option<String>,
    pub(super) session_caches: Vec<EdgeSessionCache>,
    /// An organisation, and another one from which it allows replays.
    pub(super) replay_sources: Vec<(String, String)>,
    /// The organisations that allow replays across their networks.
    pub(super) cross_network_replays: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            app: "app".into(),
            region: "iad".into(),
            body_limit: 1_000_000,
            body_wait: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(1),
            connect_attempts: 4,
            connect_pause: Duration::from_millis(50),
            replay_timeout: Duration::from_millis(7_500),
            answer_timeout: Duration::from_secs(60),
            linger: Duration::from_secs(5),
            cache_capacity: 1_024,
            log_capacity: 4_096,
            max_connections: 1_024,
            pass_forged_headers: false,
            honour_replay: true,
            land_on: None,
            session_caches: Vec::new(),
            replay_sources: Vec::new(),
            cross_network_replays: Vec::new(),
        }
    }
}
