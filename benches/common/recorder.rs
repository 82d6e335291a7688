//! The plainest recorder there is: a counter is one atomic number.

use std::sync::{Arc, atomic::Ordering};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{AtomicStorage, Registry};

pub(crate) struct Plain(Registry<Key, AtomicStorage>);

impl Default for Plain {
    fn default() -> Self {
        Self(Registry::atomic())
    }
}

impl Plain {
    /// What all counters together have counted.
    #[allow(dead_code, reason = "only a test asks how often it counted")]
    pub(crate) fn total(&self) -> u64 {
        let mut total = 0;
        self.0.visit_counters(|_, counter| {
            total += counter.load(Ordering::Relaxed);
        });
        total
    }
}

impl Recorder for Plain {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let counter = |counter: &Arc<_>| Counter::from_arc(Arc::clone(counter));
        self.0.get_or_create_counter(key, counter)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let gauge = |gauge: &Arc<_>| Gauge::from_arc(Arc::clone(gauge));
        self.0.get_or_create_gauge(key, gauge)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let histogram = |histogram: &Arc<_>| Histogram::from_arc(Arc::clone(histogram));
        self.0.get_or_create_histogram(key, histogram)
    }
}
