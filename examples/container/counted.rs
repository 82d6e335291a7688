//! What is counted, for Prometheus to collect.

use std::{error::Error, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub fn install() -> Result<PrometheusHandle, Box<dyn Error>> {
    let mut builder = PrometheusBuilder::new();
    for (name, bounds) in buckets() {
        builder = builder.set_buckets_for_metric(Matcher::Full(name), &bounds)?;
    }
    let handle = builder.install_recorder()?;
    let upkept = handle.clone();
    // The exporter keeps every value of a histogram until then, also where no collector runs.
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkept.run_upkeep();
        }
    });
    Ok(handle)
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
