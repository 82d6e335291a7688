//! What Prometheus reads of a container.

use std::collections::BTreeMap;

use crate::support::client::get;
use crate::support::container::Container;

/// Every series of this crate with its value, without the crate's prefix.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub async fn of(container: &Container) -> Self {
        let page = get(container.url("/metrics")).await;
        assert_eq!(page.status, 200);
        let series = page.text.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            let name = name.strip_prefix("tower_ownership_")?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// The value of a series, which has to be there: nobody can set an alert on one that is not.
    pub fn value(&self, name: &str) -> f64 {
        let value = self.0.get(name);
        *value.unwrap_or_else(|| panic!("{name} in {self:#?}"))
    }

    /// What became of requests since `before`, as `verdict/code/source +count`. Requests that
    /// pass are left out: reading the metrics is one.
    pub fn verdicts_since(&self, before: &Self) -> Vec<String> {
        let moved = self.0.iter().filter_map(|(name, now)| {
            let labels = name.strip_prefix("requests_total{")?.strip_suffix('}')?;
            let since = now - before.0.get(name).copied().unwrap_or_default();
            let values = labels.split(',').filter_map(|label| {
                let (_, value) = label.split_once('=')?;
                Some(value.trim_matches('"'))
            });
            let values: Vec<&str> = values.collect();
            (since > 0.0 && values[0] != "pass").then(|| format!("{} +{since}", values.join("/")))
        });
        moved.collect()
    }
}
