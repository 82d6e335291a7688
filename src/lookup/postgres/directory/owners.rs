//! Finding sessions by their owners, in a table of which most rows are of no interest.
//!
//! Everything here goes through the [migration](super::migration)'s index of the owners of active
//! and starting sessions, and says so to the planner by an order that only that index has: a limit
//! alone would make it read the table from the front, in the hope that enough rows come soon.

use super::{
    PostgresDirectory, all_of,
    migration::{FoundIndex, is_one_of, owner_index},
};
use crate::LookupError;

/// More owners are not looked at.
pub(super) const MOST_OWNERS: usize = 10_000;

/// The status words by which statements find the sessions that are not over.
///
/// They are read once for each call: an enum may have got a label, and the table another index,
/// since the last one.
pub(super) struct Living {
    /// `None`: no status tells.
    words: Option<Vec<String>>,
    /// Whether they are all that the column can hold.
    pub(super) is_complete: bool,
}

impl PostgresDirectory {
    /// Reads the words: all, or those for which the index of owners is of use. An index that an
    /// earlier version made holds active sessions only, until the migration is applied again.
    pub(super) async fn living(&self) -> Result<Living, LookupError> {
        let FoundIndex { wanted, usable, .. } = owner_index(&self.lookup, &self.table).await?;
        Ok(Living {
            is_complete: usable == wanted,
            words: usable,
        })
    }

    /// Whether the row `alias` is that of a session which is not over, by its status and its life.
    pub(super) fn is_living(&self, alias: &str, living: &Living) -> String {
        let is_in_index = std::iter::once(self.is_in_index(alias, living));
        all_of(is_in_index.chain(self.has_not_ended(alias)))
    }

    /// `owner(owner, n)`: who owns a living session, each once, in order, and with a number; and
    /// `known(owner, code)`: how they are. Where `condition` does not hold, nobody does.
    ///
    /// A `SELECT DISTINCT` would read every row to find a thousand owners; this asks the index for
    /// the next one after each.
    pub(super) fn owners(&self, condition: &str, living: &Living) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        let is_in_index = self.is_in_index("t", living);
        // One more than are looked at, which tells that there are more.
        let most = MOST_OWNERS + 1;
        let presence = self.ownership.presence("owner.owner");
        format!(
            "owner AS (\
                 (SELECT {mine} AS owner, 1 AS n FROM {name} AS t \
                     WHERE {condition} AND {mine} IS NOT NULL AND {is_in_index} \
                     ORDER BY {mine} LIMIT 1) \
                 UNION ALL \
                 SELECT (SELECT {mine} FROM {name} AS t WHERE {mine} > o.owner AND {is_in_index} \
                     ORDER BY {mine} LIMIT 1), o.n + 1 \
                 FROM owner AS o WHERE o.owner IS NOT NULL AND o.n < {most}\
             ), known AS MATERIALIZED (\
                 SELECT owner.owner, {presence} AS code FROM owner \
                 WHERE owner.owner IS NOT NULL\
             )"
        )
    }

    /// The sessions of the owner that is the value `owner`, for which `which` holds.
    pub(super) fn sessions_of(
        &self,
        columns: &str,
        owner: &str,
        which: &str,
        limit: usize,
    ) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        // With `=` the order would be none.
        format!(
            "SELECT {columns} FROM {name} AS t \
             WHERE {mine} >= {owner} AND {mine} <= {owner} AND {which} \
             ORDER BY {mine} LIMIT {limit}"
        )
    }

    /// The active sessions that nobody owns.
    pub(super) fn unowned(&self, columns: &str, condition: &str, limit: usize) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        let active = self.is_active("t");
        format!(
            "SELECT {columns} FROM {name} AS t WHERE {condition} AND {mine} IS NULL AND {active} \
             ORDER BY {mine} LIMIT {limit}"
        )
    }

    /// Whether a row has a place in the index.
    pub(super) fn is_in_index(&self, alias: &str, living: &Living) -> String {
        let is_one_of = is_one_of(&self.table, living.words.as_deref(), Some(alias));
        is_one_of.unwrap_or_else(|| "true".to_owned())
    }
}
