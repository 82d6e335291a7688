//! One session, as the directory and every process know it.

use crate::{
    row::{Id, Row},
    rule::Rule,
    settle,
    view::{Flight, View},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Share<const M: usize> {
    pub(crate) row: Row,
    pub(crate) views: [View; M],
}

impl<const M: usize> Share<M> {
    pub(crate) fn new(row: Row) -> Self {
        Self {
            row,
            views: [View::NEW; M],
        }
    }

    pub(crate) fn set_owner(&mut self, owner: Option<Id>) {
        if self.row.owner != owner {
            self.row.set_owner(owner);
            for view in &mut self.views {
                view.owner_changed();
            }
        }
    }

    pub(crate) fn release(&mut self, proves: bool) {
        self.set_owner(None);
        if proves {
            self.row.released = Some(self.row.epoch);
        }
    }

    /// A question of a process under `id` reaches the row; its answer may speak for it or not.
    pub(crate) fn reached(&mut self, machine: usize, slot: usize, id: Id, speaks_for_it: bool) {
        if let Flight::Asked { claims: true, .. } = self.views[machine].flights[slot] {
            self.set_owner(Some(id));
        }
        let names_me = self.row.owner == Some(id) && speaks_for_it;
        self.views[machine].answered(slot, self.row, names_me);
    }

    /// Leaves out what cannot matter any more.
    pub(crate) fn settle(&mut self, rule: Rule) {
        let Row {
            epoch, released, ..
        } = self.row;
        if rule.waits(epoch, released) && rule.waits(epoch + 1, released) {
            self.row.released = None;
        }
        for view in &mut self.views {
            view.settle(self.row, rule);
        }
        settle::rename(&mut self.row, &mut self.views);
    }
}
