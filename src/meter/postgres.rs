//! What is counted of PostgreSQL.
//!
//! What happens seldom looks its metric up every time, and so needs no handle.

use super::{
    kept::{Gauge, Histogram, Stopwatch},
    names,
};

/// So many lookups were one query.
pub(crate) fn queried(lookups: usize, began: Stopwatch) {
    let lookups = u32::try_from(lookups).unwrap_or(u32::MAX);
    Histogram::new(&names::BATCH_SIZE, &[]).record(f64::from(lookups));
    Histogram::new(&names::BATCH_DURATION, &[]).record_since(began);
}

/// An audit ended and found so many of each kind. Those of which there are none have to be there,
/// too: what is not mentioned keeps its last value.
pub(crate) fn audited(findings: impl IntoIterator<Item = (&'static str, usize)>) {
    for (kind, count) in findings {
        Gauge::new(&names::AUDIT_FINDINGS, &[("kind", kind)]).set_count(|| count);
    }
    Gauge::new(&names::LAST_AUDIT, &[]).set_now();
}
