//! Finding sessions by their owners, in a table of which most rows are of no interest.
//!
//! The statements go through the [migration](super::migration)'s index of the owners of active and
//! starting sessions, and name its statuses and its order, so that the planner uses it.

use super::{
    PostgresDirectory,
    migration::{FoundIndex, owner_index},
};
use crate::{LookupError, postgres::sql::Sql};

/// More owners are not looked at.
pub(super) const MOST_OWNERS: usize = 10_000;

/// What statements that find living sessions are filled from.
///
/// The statuses by which they find them are read once for each call, and not when the lookup is built:
/// an enum may have got a label, and the table another index, since the last one.
pub(super) struct Living {
    pub(super) sql: Sql,
    /// Whether the statuses are all that the column can hold.
    pub(super) is_complete: bool,
}

impl PostgresDirectory {
    /// Reads the statuses: all, or those for which the index of owners is of use. An index that an
    /// earlier version made holds active sessions only, until the migration is applied again.
    pub(super) async fn living(&self) -> Result<Living, LookupError> {
        let FoundIndex { wanted, usable, .. } = owner_index(&self.lookup, &self.table).await?;
        let sql = self.lookup.sql.living(usable.as_deref());
        Ok(Living {
            sql: sql.text("most_owners", MOST_OWNERS.to_string()),
            is_complete: usable == wanted,
        })
    }
}
