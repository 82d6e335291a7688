//! Metrics for the application's recorder.

use std::time::{Instant, SystemTime};

use metrics::{Key, Label, Level, Metadata, Unit, with_recorder};

use super::names::{ALL, Kind, Metric};

const METADATA: Metadata<'static> =
    Metadata::new("tower_ownership", Level::INFO, Some(module_path!()));

/// A label's name and value.
type Pair = (&'static str, &'static str);

/// Tells the recorder what each metric means.
pub(crate) fn describe() {
    with_recorder(|recorder| {
        for metric in ALL {
            let name = metric.name.into();
            let unit = metric.name.ends_with("_seconds").then_some(Unit::Seconds);
            let help = metric.help.into();
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}

fn key(metric: &Metric, labels: &[Pair]) -> Key {
    let label = |&(name, value): &Pair| Label::from_static_parts(name, value);
    Key::from_parts(metric.name, labels.iter().map(label).collect::<Vec<_>>())
}

/// A count that only rises.
pub(crate) struct Counter(metrics::Counter);

impl Counter {
    pub(crate) fn new(metric: &Metric, labels: &[Pair]) -> Self {
        let key = key(metric, labels);
        Self(with_recorder(|recorder| {
            recorder.register_counter(&key, &METADATA)
        }))
    }

    #[inline]
    pub(crate) fn count(&self) {
        self.0.increment(1);
    }
}

/// A value that rises and falls.
pub(crate) struct Gauge(metrics::Gauge);

impl Gauge {
    pub(crate) fn new(metric: &Metric, labels: &[Pair]) -> Self {
        let key = key(metric, labels);
        Self(with_recorder(|recorder| {
            recorder.register_gauge(&key, &METADATA)
        }))
    }

    pub(crate) fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Sets a count; the function is called only if a recorder keeps it.
    #[allow(
        clippy::cast_precision_loss,
        reason = "there are no 2^53 of what is counted here"
    )]
    pub(crate) fn set_count(&self, count: impl FnOnce() -> usize) {
        self.0.set(count() as f64);
    }

    /// Sets a moment: now.
    pub(crate) fn set_now(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.0.set(now.unwrap_or_default().as_secs_f64());
    }
}

/// Values, of which the distribution matters.
pub(crate) struct Histogram(metrics::Histogram);

impl Histogram {
    pub(crate) fn new(metric: &Metric, labels: &[Pair]) -> Self {
        let key = key(metric, labels);
        Self(with_recorder(|recorder| {
            recorder.register_histogram(&key, &METADATA)
        }))
    }

    pub(crate) fn record(&self, value: f64) {
        self.0.record(value);
    }

    pub(crate) fn record_since(&self, began: Stopwatch) {
        self.record(began.0.elapsed().as_secs_f64());
    }
}

/// When something began.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

/// Something that a recorder keeps.
pub(crate) trait Instrument {
    fn new(metric: &Metric, labels: &[Pair]) -> Self;
}

impl Instrument for Counter {
    fn new(metric: &Metric, labels: &[Pair]) -> Self {
        Self::new(metric, labels)
    }
}

impl Instrument for Gauge {
    fn new(metric: &Metric, labels: &[Pair]) -> Self {
        Self::new(metric, labels)
    }
}

impl Instrument for Histogram {
    fn new(metric: &Metric, labels: &[Pair]) -> Self {
        Self::new(metric, labels)
    }
}

/// One for each value of a label. They are there from the start, because Prometheus cannot tell
/// a rise from a series that was not there before.
pub(crate) struct Each<T>(Vec<(&'static str, T)>);

impl<T: Instrument> Each<T> {
    pub(crate) fn new(
        metric: &Metric,
        others: &[Pair],
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let one = |value| {
            let labels = [others, &[(label, value)]].concat();
            (value, T::new(metric, &labels))
        };
        Self(values.into_iter().map(one).collect())
    }

    pub(crate) fn of(&self, value: &str) -> Option<&T> {
        let (_, one) = self.0.iter().find(|(known, _)| *known == value)?;
        Some(one)
    }
}

impl Each<Gauge> {
    /// 1 for this value, and 0 for the others.
    pub(crate) fn point_at(&self, value: &str) {
        for (known, one) in &self.0 {
            one.set(f64::from(u8::from(*known == value)));
        }
    }
}
