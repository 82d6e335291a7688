//! A session's row in the directory.

use crate::{mistake::Mistake, rule::Rule};

/// A machine's id, as it stands in a row.
pub(crate) type Id = u8;

/// What the directory holds of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) owner: Option<Id>,
    pub(crate) epoch: u8,
    /// The epoch that the last proven release made.
    pub(crate) released: Option<u8>,
    /// The owner for which the trigger set the epoch.
    pub(crate) stamp: Option<Id>,
}

impl Row {
    /// A row as it is inserted.
    pub(crate) fn born(owner: Option<Id>) -> Self {
        Self {
            owner,
            epoch: u8::from(owner.is_some()),
            released: None,
            stamp: owner,
        }
    }

    /// Whether the owner changed while the triggers were missing.
    pub(crate) fn has_drifted(self) -> bool {
        self.owner != self.stamp
    }

    /// What the trigger makes of a write.
    pub(crate) fn set_owner(&mut self, owner: Option<Id>, rule: Rule) {
        if self.has_drifted() {
            if !rule.makes(Mistake::DriftKeepsTheEpoch) {
                // Never a first epoch, which is served without a wait.
                self.epoch = (self.epoch + 1).max(2);
            }
            if !rule.makes(Mistake::DriftKeepsTheProof) {
                self.released = None;
            }
        } else if self.owner != owner {
            let epoch = self.epoch;
            let is_ahead = |released: &u8| *released > epoch;
            if self.released.as_ref().is_some_and(is_ahead)
                && !rule.makes(Mistake::ProofsAheadAreKept)
            {
                self.released = None;
            }
            self.epoch += 1;
        }
        self.owner = owner;
        self.stamp = owner;
    }

    /// What the triggers make of a write that moves the row to another partition: one for the
    /// update, and one for the insert.
    pub(crate) fn move_to(&mut self, owner: Option<Id>, rule: Rule) {
        self.set_owner(owner, rule);
        if rule.makes(Mistake::MovedRowsBeginAnew) {
            (self.epoch, self.released) = (0, None);
        }
        self.epoch = self.epoch.max(u8::from(owner.is_some()));
        if rule.makes(Mistake::MovedRowsLoseProofs) {
            self.released = None;
        }
    }
}
