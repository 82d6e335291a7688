//! What is counted, under which names.

#![cfg_attr(
    not(all(feature = "metrics", feature = "postgres")),
    allow(dead_code, reason = "some of it is for one of the two features")
)]

/// A family of time series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// With the bounds of the buckets that suit it.
    Histogram(&'static [f64]),
}

/// From half a millisecond to longer than a lookup may take.
pub(crate) const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// From a lookup alone to the most that go out together.
pub(crate) const SIZES: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0,
];

macro_rules! metrics {
    ($($constant:ident $kind:expr, $name:literal, $help:literal;)*) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            kind: $kind,
            help: $help,
        };)*

        /// All of them.
        #[cfg(feature = "metrics")]
        pub(crate) const ALL: &[Metric] = &[$($constant),*];

        /// The names of all metrics, as they are without what an exporter adds to them.
        #[cfg(feature = "metrics")]
        pub const NAMES: &[&str] = &[$($name),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

metrics! {
    BUILD_INFO Gauge, "tower_ownership_build_info",
        "1, with the version of this crate.";
    REQUESTS Counter, "tower_ownership_requests_total",
        "Requests by verdict, by the code of those refused, and by where what was known of the session came from.";
    REPLAYED Counter, "tower_ownership_replayed_requests_total",
        "Requests that a proxy or another machine brought here, or that a proxy could not take there.";
    HELD_BACK Counter, "tower_ownership_warnings_held_back_total",
        "Refusals that were said at DEBUG, because their cause had been said at WARN a moment before.";
    LOOKUP_DURATION Histogram(SECONDS), "tower_ownership_lookup_duration_seconds",
        "How long lookups of a session took, each once, however many requests waited for it.";
    LOOKUPS_JOINED Counter, "tower_ownership_lookups_joined_total",
        "Requests that waited for a lookup which another request had begun.";
    LOOKUPS_REFUSED Counter, "tower_ownership_lookups_refused_total",
        "Requests that were not looked up, because a lookup had failed a moment before.";
    REFRESHES Counter, "tower_ownership_cache_refreshes_total",
        "Sessions that were read again in the background, before what was known of them was too old.";
    CACHE_ENTRIES Gauge, "tower_ownership_cache_entries",
        "Sessions in the cache, with those whose freshness has run out.";
    BATCH_SIZE Histogram(SIZES), "tower_ownership_lookup_batch_size",
        "How many lookups went to PostgreSQL in one query.";
    BATCH_DURATION Histogram(SECONDS), "tower_ownership_lookup_batch_duration_seconds",
        "How long queries to PostgreSQL took, with the wait for a connection.";
    CLAIMS Counter, "tower_ownership_claims_total",
        "Attempts to become the owner of a session, by whether it had no owner or a lost one, and by how they ended.";
    LOSSES Counter, "tower_ownership_losses_total",
        "Handlers and streams that were told that their session is lost.";
    NODE_STATE Gauge, "tower_ownership_node_state",
        "Whether this process may serve, and if not, why: 1 for what holds, 0 for the others.";
    FEED_LISTENING Gauge, "tower_ownership_feed_listening",
        "Whether changes of sessions are heard at once: 1 or 0.";
    FEED_LAST_HEARD Gauge, "tower_ownership_feed_last_heard_timestamp_seconds",
        "When the feed last heard anything, its own heartbeat included, in Unix time.";
    FEED_CHANGES Counter, "tower_ownership_feed_changes_total",
        "Changes that the feed heard, by whether it could read them.";
    FEED_LOSSES Counter, "tower_ownership_feed_connections_lost_total",
        "How often the feed lost its connection, or could not get one.";
    BEATS Counter, "tower_ownership_heartbeats_total",
        "Heartbeats that this machine tried to write, by whether that worked.";
    LAST_BEAT Gauge, "tower_ownership_heartbeat_last_timestamp_seconds",
        "When this machine's last heartbeat was written, in Unix time.";
    OWNED_SESSIONS Gauge, "tower_ownership_owned_sessions",
        "Sessions that the directory gives to this machine, as of the last time that it was asked.";
    TRIGGERS_MISSING Gauge, "tower_ownership_triggers_missing",
        "Triggers that raise epochs and are missing or disabled, as of the last look.";
    FEED_COMPLETE Gauge, "tower_ownership_feed_complete",
        "Whether the directory has what it needs to tell of every change: 1 or 0.";
    AUDIT_FINDINGS Gauge, "tower_ownership_audit_findings",
        "What is wrong with the fleet, by kind, as of the last audit.";
    LAST_AUDIT Gauge, "tower_ownership_audit_last_timestamp_seconds",
        "When the last audit ended, in Unix time.";
}
