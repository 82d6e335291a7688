//! The twin without a recorder: everything has no size and does nothing.

#![allow(
    clippy::unused_self,
    clippy::needless_pass_by_value,
    clippy::extra_unused_type_parameters,
    reason = "it has the shape of its twin"
)]

use std::marker::PhantomData;

use super::names::Metric;

type Pair = (&'static str, &'static str);

pub(crate) fn describe() {}

pub(crate) struct Counter;

impl Counter {
    pub(crate) fn new(_: &Metric, _: &[Pair]) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn count(&self) {}
}

pub(crate) struct Gauge;

impl Gauge {
    pub(crate) fn new(_: &Metric, _: &[Pair]) -> Self {
        Self
    }

    pub(crate) fn set(&self, _: f64) {}

    pub(crate) fn set_count(&self, _: impl FnOnce() -> usize) {}

    pub(crate) fn set_now(&self) {}
}

pub(crate) struct Histogram;

impl Histogram {
    pub(crate) fn new(_: &Metric, _: &[Pair]) -> Self {
        Self
    }

    pub(crate) fn record(&self, _: f64) {}

    pub(crate) fn record_since(&self, _: Stopwatch) {}
}

#[derive(Clone, Copy)]
pub(crate) struct Stopwatch;

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self
    }
}

pub(crate) struct Each<T>(PhantomData<T>);

impl<T> Each<T> {
    pub(crate) fn new(
        _: &Metric,
        _: &[Pair],
        _: &'static str,
        _: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        Self(PhantomData)
    }

    pub(crate) fn of(&self, _: &str) -> Option<&T> {
        None
    }
}

impl Each<Gauge> {
    pub(crate) fn point_at(&self, _: &str) {}
}
