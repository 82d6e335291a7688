//! Which database, and what its tables are called: as the lookup's builder has it.

use std::time::Duration;

use clap::Args;
use tower_ownership::{
    PostgresLookup,
    postgres::{PostgresColumns, PostgresIdType, PostgresLookupBuilder},
};

use crate::exit::{Exit, Failure};

/// The database and its tables. The defaults are those of `PostgresLookup::builder`.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of options")]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// The URL of the database. Best given by its variable: other users of this computer see
    /// arguments, and the password in them (`ps`)
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: Option<String>,

    /// The schema of the sessions' table
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,

    /// The table of sessions [default: preview_sessions]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,

    /// Columns that are not called as by default, as `owner=machine_id,status=state`. With an empty
    /// name (`address=`) there is no such column. With their defaults: id=id,
    /// owner=container_id, status=status, address=container_url, expires_at=expires_at,
    /// ended_at=ended_at; and with the migration: epoch=owner_epoch, released=owner_released (the
    /// release proof), epoch_of=owner_epoch_of (the owner that the epoch was set for)
    #[arg(long, env = "OWNERSHIP_COLUMNS", value_name = "COLUMN=NAME,...")]
    columns: Option<PostgresColumns>,

    /// The type of the id's column: uuid, text, char, bigint or bytea [default: uuid]
    #[arg(long, value_name = "TYPE", value_parser = id_type)]
    id_type: Option<PostgresIdType>,

    /// A status that means active; may be given several times [default: active]
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    active_status: Vec<String>,

    /// A status that means starting [default: creating, starting, pending, provisioning]
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    starting_status: Vec<String>,

    /// A status that means over [default: all others]
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    over_status: Vec<String>,

    /// The table of machines [default: ownership_machines]
    #[arg(long, value_name = "NAME")]
    machines_table: Option<String>,

    /// The table of the fleet's freshness [default: ownership_fleet]
    #[arg(long, value_name = "NAME")]
    fleet_table: Option<String>,

    /// After how long without a beat a machine is lost [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lost_after: Option<Duration>,

    /// Ids are used again after their rows were deleted: the migration lets new rows begin at the
    /// clock
    #[arg(long)]
    reusable_ids: bool,

    /// How long a question to the database may take, and a connection to it
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    database_timeout: Duration,
}

fn id_type(text: &str) -> Result<PostgresIdType, &'static str> {
    match text {
        "uuid" => Ok(PostgresIdType::Uuid),
        "text" | "varchar" => Ok(PostgresIdType::Text),
        "char" => Ok(PostgresIdType::Char),
        "bigint" | "integer" => Ok(PostgresIdType::Bigint),
        "bytea" => Ok(PostgresIdType::Bytea),
        _ => Err("not one of uuid, text, char, bigint and bytea"),
    }
}

/// The URL of a lookup that is never asked.
const NOWHERE: &str = "postgres://localhost/nowhere?sslmode=disable";

impl Database {
    pub fn builder(&self) -> Result<PostgresLookupBuilder, Failure> {
        let url = self.database.as_deref().filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| Failure {
            exit: Exit::Usage,
            text: "no database: set --database or DATABASE_URL".to_owned(),
        })?;
        Ok(self.named(url))
    }

    /// For commands that need only the names.
    pub fn builder_without_a_server(&self) -> PostgresLookupBuilder {
        self.named(NOWHERE)
    }

    fn named(&self, url: &str) -> PostgresLookupBuilder {
        let mut builder = PostgresLookup::builder(url);
        if let Some(schema) = &self.schema {
            builder = builder.schema(schema);
        }
        if let Some(table) = &self.table {
            builder = builder.table(table);
        }
        if let Some(columns) = &self.columns {
            builder = builder.columns(columns.clone());
        }
        if let Some(column) = self.id_type {
            builder = builder.id_type(column);
        }
        if let Some(table) = &self.machines_table {
            builder = builder.machines_table(table);
        }
        if let Some(table) = &self.fleet_table {
            builder = builder.fleet_table(table);
        }
        if !self.active_status.is_empty() {
            builder = builder.active_statuses(&self.active_status);
        }
        if !self.starting_status.is_empty() {
            builder = builder.starting_statuses(&self.starting_status);
        }
        if !self.over_status.is_empty() {
            builder = builder.over_statuses(&self.over_status);
        }
        if let Some(silence) = self.lost_after {
            builder = builder.lost_after(silence);
        }
        if self.reusable_ids {
            builder = builder.reusable_ids();
        }
        // A desk is farther from the database than a machine is, and nothing waits but its user.
        let limit = self.database_timeout;
        builder
            .timeout(limit)
            .pool_timeout(limit)
            .connect_timeout(limit)
            .query_timeout(limit)
    }
}
