//! The layer with a recorder of metrics. Apart from `stack`, which the benchmarks of peers share:
//! their layer is built without the feature.

use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::{
    common::setup::{ME, all_owned_by, sessions},
    recorder::Plain,
    row::{Requests, Row},
    stack::{DEFAULT_CAPACITY, HOT, ours, row},
};

/// Owned requests that a recorder counts, beside the same that none does.
pub(crate) fn rows() -> (Row, Vec<Row>) {
    let ids = sessions(HOT);
    let owned = |name| {
        let calls = ours(all_owned_by(ME), false, DEFAULT_CAPACITY);
        row(name, Requests::for_sessions(&ids), calls)
    };
    let prometheus = PrometheusBuilder::new().build_recorder();
    // The layer asks for its counters when it is built, and keeps them.
    let rows = vec![
        owned("not counted, beside itself"),
        with_local_recorder(&Plain::default(), || owned("one atomic number a counter")),
        with_local_recorder(&prometheus, || owned("metrics-exporter-prometheus")),
    ];
    (owned("not counted"), rows)
}
