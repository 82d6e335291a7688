//! Runs a check, and says what it took.

use std::{collections::BTreeSet, fmt::Debug, hash::Hash, time::Instant};

use stateright::{Checker as _, HasDiscoveries, Model};

/// What was found, by property, and a short way there.
pub(crate) struct Found(Vec<(&'static str, String)>);

/// Looks for `wanted` until all of it is found, or there is no state left within `depth` actions.
pub(crate) fn check<M>(name: &str, model: M, wanted: &[&'static str], depth: Option<usize>) -> Found
where
    M: Model + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
{
    let began = Instant::now();
    let wanted: BTreeSet<_> = wanted.iter().copied().collect();
    // On one thread, since others check beside it, and then it is the same every time.
    let mut checker = model.checker().finish_when(HasDiscoveries::AllOf(wanted));
    if let Some(depth) = depth {
        checker = checker.target_max_depth(depth);
    }
    let checker = checker.spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps, {} deep, {:.1?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed(),
    );
    let paths = checker.discoveries().into_iter();
    Found(
        paths
            .map(|(name, path)| (name, format!("{:?}", path.into_actions())))
            .collect(),
    )
}

impl Found {
    /// Asserts that it can come to this, and prints how.
    pub(crate) fn has(&self, property: &str) {
        let actions = self.way_to(property);
        let actions = actions.unwrap_or_else(|| panic!("never found: {property}"));
        println!("      {property}: {actions}");
    }

    /// Asserts that it never comes to this.
    pub(crate) fn has_not(&self, property: &str) {
        let actions = self.way_to(property);
        assert!(actions.is_none(), "{property}: {actions:?}");
    }

    /// Asserts that it comes to all of this, and to nothing else.
    pub(crate) fn has_only(&self, properties: &[&str]) {
        for (property, actions) in &self.0 {
            assert!(properties.contains(property), "{property}: {actions}");
        }
        for property in properties {
            self.has(property);
        }
    }

    fn way_to(&self, property: &str) -> Option<&str> {
        let mut all = self.0.iter();
        let (_, actions) = all.find(|(name, _)| *name == property)?;
        Some(actions)
    }
}
