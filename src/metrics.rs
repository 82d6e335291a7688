//! Metrics, for the recorder that the application installed: the feature `metrics`.
//!
//! The crate speaks to the [`metrics`](https://docs.rs/metrics) facade. Which exporter is behind it
//! is the application's choice; names and labels follow Prometheus's conventions.
//!
//! **The recorder has to be installed before [`build`](crate::OwnershipLayerBuilder::build)** is
//! called and a feed is started. What a request touches is registered there, once, and stays with
//! the recorder of that moment; without one, it is never counted.
//!
//! | metric | labels | what it says |
//! | --- | --- | --- |
//! | `tower_ownership_build_info` | `version` | 1, with the version of this crate |
//! | `tower_ownership_requests_total` | `verdict`, `code`, `cache` | requests by what became of them: `pass`, `replay` or `reject`; by the [`RejectionCode`](crate::RejectionCode) of those refused, empty for others; and by whether the cache knew the session: [`hit`, `miss`, `stale`](crate::CacheStatus), or `none` where nothing had to be known |
//! | `tower_ownership_replayed_requests_total` | `origin` | requests that did not come straight from a client: `replayed` by a proxy or `forwarded` by the machine itself from another one, `failed` to be replayed, `fell-back` to another machine than the preferred one, or by the proxy's `replay-cache` |
//! | `tower_ownership_warnings_held_back_total` | `code` | refusals that were said at DEBUG, because the same cause had been said at WARN a moment before; see [`warn_interval`](crate::OwnershipLayerBuilder::warn_interval) |
//! | `tower_ownership_lookup_duration_seconds` | `outcome` | histogram: how long lookups took that `found` a session, found that it is `unknown`, or failed: `timeout`, `unavailable`, `corrupt`; or were dropped when no request waited for them any more: `abandoned`. Each lookup counts once, however many requests waited |
//! | `tower_ownership_lookups_joined_total` | | waits for a lookup of another request |
//! | `tower_ownership_lookups_refused_total` | | lookups that were not made, because one had failed a moment before |
//! | `tower_ownership_cache_refreshes_total` | | sessions that were read again in the background |
//! | `tower_ownership_cache_entries` | `kind` | sessions that are `known`, and ids that are known to be `unknown`, with those whose freshness has run out; as of the last lookup |
//! | `tower_ownership_claims_total` | `kind`, `outcome` | attempts to become the owner of an `unassigned` session, or to `takeover` one from a lost owner: `won`, `lost` to another machine, `gone` (no such session), `failed`, `abandoned` |
//! | `tower_ownership_losses_total` | `kind` | handlers and streams that were told of a [loss](crate::LossReason): `moved`, `over`, `unproved`, `draining`, `fenced`, `removed` |
//! | `tower_ownership_node_state` | `state` | 1 for the [state](crate::NodeState) of this process, 0 for the others: `joining`, `serving`, `draining`, `fenced`, `removed` |
//!
//! With the feature `postgres`, and as far as the application uses what they are about:
//!
//! | metric | labels | what it says |
//! | --- | --- | --- |
//! | `tower_ownership_lookup_batch_size` | | histogram: how many lookups were one query |
//! | `tower_ownership_lookup_batch_duration_seconds` | | histogram: how long queries took, with the wait for a connection |
//! | `tower_ownership_feed_listening` | | whether changes of sessions are heard at once: 1 or 0 |
//! | `tower_ownership_feed_last_heard_timestamp_seconds` | | when anything was heard last, the feed's own heartbeat included, in Unix time |
//! | `tower_ownership_feed_changes_total` | `kind` | changes that could be `read`, and those that were `unreadable` |
//! | `tower_ownership_feed_connections_lost_total` | | how often the feed lost its connection, or could not get one |
//! | `tower_ownership_heartbeats_total` | `outcome` | heartbeats that were `written`, `failed`, or `withheld` because the machine serves nothing |
//! | `tower_ownership_heartbeat_last_timestamp_seconds` | | when the last heartbeat was written, or the machine registered, in Unix time |
//! | `tower_ownership_owned_sessions` | | active sessions that the directory gives to this machine, if its presence [counts them](crate::HeartbeatBuilder::count_sessions_every) |
//! | `tower_ownership_triggers_missing` | | triggers that raise epochs and are missing or disabled, on the sessions' table or one of its partitions, as of the last look of this machine's [presence](crate::HeartbeatBuilder::check_triggers_every) |
//! | `tower_ownership_feed_complete` | | whether the directory has what it needs to tell of every change, in PostgreSQL a trigger that notifies the feed's channel: 1 or 0; as of the last look, once it is known |
//! | `tower_ownership_audit_findings` | `kind` | what is wrong with the fleet, as of the last audit |
//! | `tower_ownership_audit_last_timestamp_seconds` | | when the last audit ended, in Unix time |
//!
//! No label holds a session, a machine, or anything else that a client or the directory could
//! choose. An application that answers with [`SessionAbsent`](crate::SessionAbsent), or whose handler
//! takes [`Owned`](crate::Owned) where the request names no session (feature `axum`), makes a request
//! count twice: as passed, and as refused.
//!
//! Two layers in one process share these metrics.
//!
//! # What it costs
//! A request for a session that is known adds to one counter, and allocates nothing. There is one
//! counter for verdict, code and cache together because each one more would cost as much again.
//! With `metrics-exporter-prometheus` it was measured at 3 ns (`benches/RESULTS.md`).
//!
//! # Prometheus
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//!
//! let mut builder = PrometheusBuilder::new();
//! for (name, buckets) in tower_ownership::metrics::buckets() {
//!     builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
//! }
//! let prometheus = builder.install_recorder()?;
//! // Now build the layer, and let `GET /metrics` answer with
//! let page = prometheus.render();
//! # Ok(())
//! # }
//! ```
//! The exporter keeps every value of a histogram until the page is read, or until
//! `prometheus.run_upkeep()` is called: call it every few seconds.

use crate::meter::names::{ALL, Kind};

pub use crate::meter::names::NAMES;

/// The histograms, and buckets that suit them.
///
/// An exporter that is not told of buckets makes summaries of histograms, which cannot be added up
/// over machines.
pub fn buckets() -> impl Iterator<Item = (&'static str, &'static [f64])> {
    ALL.iter().filter_map(|metric| match metric.kind {
        Kind::Histogram(buckets) => Some((metric.name, buckets)),
        Kind::Counter | Kind::Gauge => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_page_tells_of_every_metric() {
        let page = include_str!("metrics.rs");
        for name in NAMES {
            assert!(page.contains(&format!("//! | `{name}` | ")), "{name}");
        }
    }
}
