//! What Prometheus would read.

use std::collections::BTreeMap;

use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// A recorder with the crate's own buckets.
pub fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in tower_ownership::metrics::buckets() {
        let name = Matcher::Full(name.to_owned());
        builder = builder.set_buckets_for_metric(name, buckets).unwrap();
    }
    builder.build_recorder()
}

/// Every series with its value, without the crate's prefix.
pub fn series(prometheus: &PrometheusHandle) -> BTreeMap<String, f64> {
    let page = prometheus.render();
    page.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.strip_prefix("tower_ownership_").unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// The value of one series, which has to be there.
pub fn value(prometheus: &PrometheusHandle, name: &str) -> f64 {
    let all = series(prometheus);
    *all.get(name)
        .unwrap_or_else(|| panic!("{name} in {all:#?}"))
}

/// The same of a count.
pub fn count(prometheus: &PrometheusHandle, name: &str) -> u64 {
    whole(value(prometheus, name))
}

/// A number that has to be a count.
pub fn whole(value: f64) -> u64 {
    value.to_string().parse().unwrap()
}
