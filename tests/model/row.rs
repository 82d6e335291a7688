//! A session's row in the directory.

/// A machine's id, as it stands in a row.
pub(crate) type Id = u8;

/// What the directory holds of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) owner: Option<Id>,
    pub(crate) epoch: u8,
    /// The epoch that the last proven release made.
    pub(crate) released: Option<u8>,
}

impl Row {
    /// A row as it is inserted.
    pub(crate) fn born(owner: Option<Id>) -> Self {
        Self {
            owner,
            epoch: u8::from(owner.is_some()),
            released: None,
        }
    }

    /// What the trigger does whenever the owner changes, whoever writes it.
    pub(crate) fn set_owner(&mut self, owner: Option<Id>) {
        if self.owner != owner {
            self.owner = owner;
            self.epoch += 1;
        }
    }
}
