//! Finding sessions by their owners, in a table of which most rows are of no interest.
//!
//! Everything here goes through the [migration](super::migration)'s index of the owners of active
//! sessions, and says so to the planner by an order that only that index has: a limit alone would
//! make it read the table from the front, in the hope that enough rows come soon.

use super::{PostgresDirectory, migration::active};

/// More owners are not looked at.
pub(super) const MOST_OWNERS: usize = 10_000;

impl PostgresDirectory {
    /// `owner(owner, n)`: who owns an active session, each once, in order, and with a number; and
    /// `known(owner, code)`: how they are. Where `condition` does not hold, nobody does.
    ///
    /// A `SELECT DISTINCT` would read every row to find a thousand owners; this asks the index for
    /// the next one after each.
    pub(super) fn owners(&self, condition: &str) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        let active = self.is_in_index("t");
        // One more than are looked at, which tells that there are more.
        let most = MOST_OWNERS + 1;
        let join = self.ownership.join("owner.owner", "m");
        let presence = self.ownership.presence("owner.owner", "m");
        format!(
            "owner AS (\
                 (SELECT {mine} AS owner, 1 AS n FROM {name} AS t \
                     WHERE {condition} AND {mine} IS NOT NULL AND {active} \
                     ORDER BY {mine} LIMIT 1) \
                 UNION ALL \
                 SELECT (SELECT {mine} FROM {name} AS t WHERE {mine} > o.owner AND {active} \
                     ORDER BY {mine} LIMIT 1), o.n + 1 \
                 FROM owner AS o WHERE o.owner IS NOT NULL AND o.n < {most}\
             ), known AS MATERIALIZED (\
                 SELECT owner.owner, {presence} AS code FROM owner{join} \
                 WHERE owner.owner IS NOT NULL\
             )"
        )
    }

    /// The active sessions of the owner that is the value `owner`.
    pub(super) fn sessions_of(&self, columns: &str, owner: &str, limit: usize) -> String {
        let (name, mine) = (self.table.qualified(), self.table.owner_text("t"));
        let active = self.is_active("t");
        // With `=` the order would be none.
        format!(
            "SELECT {columns} FROM {name} AS t \
             WHERE {mine} >= {owner} AND {mine} <= {owner} AND {active} \
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
    pub(super) fn is_in_index(&self, alias: &str) -> String {
        let active = active(&self.table, self.statuses(), Some(alias));
        active.unwrap_or_else(|| "true".to_owned())
    }
}
