//! Writes that their sender has given up on, or did not live to see.

/// What may still be carried out, at any time, if the row is then as the write asks for.
///
/// A write of the orchestrator's is not among them: it asks for nothing, so it may as well be sent
/// when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Late {
    /// A claim of the session as it is now.
    pub(crate) claim: bool,
    /// A release of the session as it is now, and whether it carries the proof.
    pub(crate) release: Option<bool>,
    /// A release of whatever the machine owns by then, and whether the machine had waited for the
    /// owner before the present one.
    pub(crate) drain: Option<bool>,
}

impl Late {
    pub(crate) const NOTHING: Self = Self {
        claim: false,
        release: None,
        drain: None,
    };

    /// The owner changed, so only what does not ask for the epoch can still be carried out.
    pub(crate) fn owner_changed(&mut self) {
        *self = Self {
            drain: self.drain.map(|_| false),
            ..Self::NOTHING
        };
    }

    /// The directory knows of a later process, and refuses the releases of this one.
    ///
    /// It has to look at the process and at the row in one step: a check that holds only when the
    /// statement began is as good as none (`Mistake::ReleasesForTheId`).
    pub(crate) fn process_changed(&mut self) {
        self.release = None;
        self.drain = None;
    }
}
