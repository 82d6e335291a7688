//! Whether the triggers are there, for a process that runs.

use tokio::time::Instant;

use super::{
    PostgresDirectory,
    migration::{EPOCH_TRIGGERS, epoch_function, missing_triggers},
    value,
};
use crate::{
    LookupError,
    postgres::{
        change_log,
        failure::Asked,
        migration::{NOTIFY_TRIGGERS, function},
        mode::Mode,
    },
};

impl PostgresDirectory {
    /// The triggers that raise epochs and are missing or disabled, each with its table or partition.
    /// Reads the catalog only.
    pub(in crate::postgres) async fn missing_epoch_triggers(
        &self,
        deadline: Instant,
    ) -> Result<Vec<String>, LookupError> {
        let function = epoch_function(&self.table);
        self.missing_of(&function, &EPOCH_TRIGGERS, deadline).await
    }

    /// The same of those that notify, and of the change log's tables. A trigger that finds no table
    /// to append to fails each write while a machine reads the log.
    pub(crate) async fn missing_of_feed(
        &self,
        deadline: Instant,
    ) -> Result<Vec<String>, LookupError> {
        let function = function(&self.table);
        let mut missing = self
            .missing_of(&function, &NOTIFY_TRIGGERS, deadline)
            .await?;
        let sql = change_log::missing(&self.table);
        let connections = &self.lookup.connections;
        for row in connections.run(Mode::READ, &sql, &[], deadline).await? {
            let name: &str = value(&row, 0)?;
            missing.push(format!("the change log's {name} is missing"));
        }
        Ok(missing)
    }

    async fn missing_of(
        &self,
        function: &str,
        names: &[&str],
        deadline: Instant,
    ) -> Result<Vec<String>, LookupError> {
        let sql = missing_triggers(&self.table, function, names);
        let connections = &self.lookup.connections;
        let mode = Mode {
            asked: Asked::Read,
            ..Mode::READ
        };
        let rows = connections.run(mode, &sql, &[], deadline).await?;
        rows.iter()
            .map(|row| {
                let (trigger, table): (&str, &str) = (value(row, 0)?, value(row, 1)?);
                let how = if value(row, 2)? {
                    "disabled"
                } else {
                    "missing"
                };
                Ok(format!("trigger {trigger:?} of {table} is {how}"))
            })
            .collect()
    }
}
