//! One session, as the directory and every process know it.

use crate::{
    mistake::Mistake,
    row::{Id, Row},
    rule::Rule,
    settle,
    view::{Flight, View},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Share<const M: usize> {
    pub(crate) row: Row,
    /// The row as a standby has it.
    pub(crate) standby: Row,
    /// Whether the triggers are missing.
    pub(crate) is_bare: bool,
    pub(crate) views: [View; M],
}

impl<const M: usize> Share<M> {
    pub(crate) fn new(row: Row) -> Self {
        Self {
            row,
            standby: row,
            is_bare: false,
            views: [View::NEW; M],
        }
    }

    pub(crate) fn set_owner(&mut self, owner: Option<Id>, rule: Rule) {
        if self.is_bare {
            // What was sent for the epoch may still be carried out.
            self.row.owner = owner;
        } else if self.row.owner != owner || self.row.has_drifted() {
            self.row.set_owner(owner, rule);
            self.owner_changed();
        }
    }

    pub(crate) fn move_to(&mut self, owner: Option<Id>, rule: Rule) {
        let changes = self.row.owner != owner;
        self.row.move_to(owner, rule);
        if changes {
            self.owner_changed();
        }
    }

    fn owner_changed(&mut self) {
        for view in &mut self.views {
            view.owner_changed();
        }
    }

    pub(crate) fn release(&mut self, proves: bool, rule: Rule) {
        let epoch = self.row.epoch + 1;
        self.set_owner(None, rule);
        if proves {
            self.row.released = Some(epoch);
        }
    }

    /// Whether a release by the owner can be carried out.
    pub(crate) fn can_be_released_by(&self, id: Id) -> bool {
        self.row.owner == Some(id) && !self.row.has_drifted()
    }

    /// A question of a process under `id` reaches the row; its answer may speak for it or not.
    pub(crate) fn reached(
        &mut self,
        machine: usize,
        slot: usize,
        id: Id,
        speaks_for_it: bool,
        rule: Rule,
    ) {
        if let Flight::Asked { claims: true, .. } = self.views[machine].flights[slot] {
            self.set_owner(Some(id), rule);
        }
        let holds = !self.row.has_drifted() || rule.makes(Mistake::StampIsIgnored);
        let names_me = self.row.owner == Some(id) && speaks_for_it && holds;
        self.views[machine].answered(slot, self.row, names_me);
    }

    /// A read of a process under `id` reaches a standby.
    pub(crate) fn reached_standby(&mut self, machine: usize, slot: usize, id: Id, rule: Rule) {
        let counts = rule.makes(Mistake::StandbysAreRead);
        let names_me = self.standby.owner == Some(id) && counts;
        self.views[machine].answered(slot, self.standby, names_me);
    }

    /// Leaves out what cannot matter any more.
    pub(crate) fn settle(&mut self, rule: Rule) {
        if !rule.makes(Mistake::StandbysAreRead) {
            self.standby = self.row;
        }
        for row in [&mut self.row, &mut self.standby] {
            let Row {
                epoch, released, ..
            } = *row;
            // One that is ahead is about an epoch to come.
            let is_ahead = released > Some(epoch);
            if !is_ahead && rule.waits(epoch, released) && rule.waits(epoch + 1, released) {
                row.released = None;
            }
        }
        for view in &mut self.views {
            view.settle(self.row, rule);
        }
        settle::rename(&mut self.row, &mut self.standby, &mut self.views);
    }
}
