//! What a fleet is made of, and what can happen to it beside requests, writes and restarts.

/// One such thing at a time: together, they would be more states than can be gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum World {
    #[default]
    Plain,
    /// The last process has the id of the first one, and may run beside it.
    Twins,
    /// The same, and processes leave.
    TwinsThatLeave,
    /// The same without that, and the row of their machine is deleted.
    TwinsWithoutARow,
    /// The first two are caches of one process, which keeps one presence.
    Layers,
    /// Rows move between partitions.
    Partitions,
    /// Reads reach a standby.
    Standby,
    /// The triggers are dropped, and applied again.
    Triggers,
    /// A log or a hook takes its time between the verdict and the handler.
    Hooks,
    /// A cache forgets for how long it has known what it owns.
    Forgetful,
}

impl World {
    pub(crate) fn has_twins(self) -> bool {
        matches!(
            self,
            Self::Twins | Self::TwinsThatLeave | Self::TwinsWithoutARow
        )
    }
}
