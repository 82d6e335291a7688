//! Who may serve a session, beside who owns it.

use std::time::Duration;

use super::PostgresLookupBuilder;
use crate::postgres::ownership::OwnershipNames;
#[cfg(feature = "doctor")]
use crate::postgres::{PostgresConfigError, PostgresLookup};

impl PostgresLookupBuilder {
    /// Reads who may serve a session beside who owns it: the epoch, the release proof, and whether
    /// the owner is alive. Default: none of it, and the query is as it is without.
    ///
    /// It needs the columns and tables that the [migration](crate::PostgresDirectory::migration)
    /// makes. The session query then also looks into the table of machines, by its primary key.
    /// With a [`query`](Self::query) of the application's own, have it return the columns `epoch`,
    /// `released` and `presence` instead.
    pub fn ownership(mut self) -> Self {
        self.names.ownership.get_or_insert_default();
        self
    }

    /// The table of machines, in the schema of the sessions' table. Default:
    /// `ownership_machines`. Several tables of sessions may share it. Switches
    /// [`ownership`](Self::ownership) on.
    pub fn machines_table(mut self, table: impl Into<String>) -> Self {
        self.ownership_names().machines = table.into();
        self
    }

    /// The table of the one row that holds the fleet's freshness, in the same schema. Default:
    /// `ownership_fleet`. Switches [`ownership`](Self::ownership) on.
    pub fn fleet_table(mut self, table: impl Into<String>) -> Self {
        self.ownership_names().fleet = table.into();
        self
    }

    /// After how long without a beat a machine is [lost](crate::OwnerStatus::Lost), by the
    /// database's clock. Default: 15 s, five beats; at most a day. It counts only while another
    /// machine was heard for as long without a gap of more than half of it: an outage of the
    /// database makes no machine lost. No machine serves wrongly if it is too short: a session that is
    /// taken from a machine which is alive costs its clients a wait of the fleet's freshness.
    /// Switches [`ownership`](Self::ownership) on.
    pub fn lost_after(mut self, silence: Duration) -> Self {
        self.ownership_names().lost_after = silence;
        self
    }

    /// Lets the id of a row that was deleted be used again, as those of rooms with names are. Default:
    /// an id is used once.
    ///
    /// With the setting, the [migration](crate::PostgresDirectory::migration) lets a row that is inserted
    /// begin at the time in microseconds, which is above every epoch of the rows that had its id before,
    /// with a release proof, so that its first owner serves at once. The epoch has to be a `bigint`.
    /// [`migrate`](crate::PostgresDirectory::migrate) without the setting leaves the triggers with it in place;
    /// the migration's text without it takes it away. Each id has to rest between a deletion and the next
    /// row, for as long as [`reap`](crate::PostgresDirectory::reap) says. Switches
    /// [`ownership`](Self::ownership) on.
    pub fn reusable_ids(mut self) -> Self {
        self.ownership_names().reusable_ids = true;
        self
    }

    /// The lookup that keeps ownership, and the same without; only the one, if it is a query of the
    /// application's own.
    #[cfg(feature = "doctor")]
    pub(crate) fn with_and_without_ownership(
        mut self,
    ) -> Result<(PostgresLookup, Option<PostgresLookup>), PostgresConfigError> {
        if self.query.is_some() {
            return Ok((self.build()?, None));
        }
        let with = self.clone().ownership().build()?;
        self.names.ownership = None;
        Ok((with, Some(self.build()?)))
    }

    /// The names of the servers; of a pool they are not known.
    #[cfg(feature = "doctor")]
    pub(crate) fn hosts(&self) -> Vec<String> {
        self.source.hosts()
    }

    fn ownership_names(&mut self) -> &mut OwnershipNames {
        self.names.ownership.get_or_insert_default()
    }
}
