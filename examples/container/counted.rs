//! What is counted, for Prometheus to collect.

use std::error::Error;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub fn install() -> Result<PrometheusHandle, Box<dyn Error>> {
    let mut builder = PrometheusBuilder::new();
    for (name, bounds) in buckets() {
        builder = builder.set_buckets_for_metric(Matcher::Full(name), &bounds)?;
    }
    Ok(builder.install_recorder()?)
}

#[cfg(feature = "metrics")]
fn buckets() -> Vec<(String, Vec<f64>)> {
    let bounds = tower_ownership::metrics::buckets();
    bounds
        .map(|(name, bounds)| (name.to_owned(), bounds.to_vec()))
        .collect()
}

#[cfg(not(feature = "metrics"))]
fn buckets() -> Vec<(String, Vec<f64>)> {
    Vec::new()
}
