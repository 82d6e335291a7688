//! Which database, and what its tables are called: as the lookup's builder has it.

use std::time::Duration;

use clap::Args;
use tower_ownership::{PostgresLookup, PostgresLookupBuilder};

use crate::exit::{Exit, Failure};

/// The database and its tables. What is not said is as `PostgresLookup::builder` has it.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "they are the names of options"
)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// The URL of the database
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database: Option<String>,

    /// The schema of the sessions' table
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,

    /// The table of sessions [default: preview_sessions]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,

    /// The column of a session's id [default: id]
    #[arg(long, value_name = "NAME")]
    id_column: Option<String>,

    /// Ids are stored as text
    #[arg(long)]
    id_as_text: bool,

    /// The column of the owner's machine id [default: container_id]
    #[arg(long, value_name = "NAME")]
    owner_column: Option<String>,

    /// The column of the status [default: status]
    #[arg(long, value_name = "NAME")]
    status_column: Option<String>,

    /// There is no status
    #[arg(long, conflicts_with = "status_column")]
    without_status: bool,

    /// The column of the owner's URL [default: container_url]
    #[arg(long, value_name = "NAME")]
    address_column: Option<String>,

    /// There is no URL
    #[arg(long, conflicts_with = "address_column")]
    without_address: bool,

    /// The column of the time at which a session expires [default: expires_at]
    #[arg(long, value_name = "NAME")]
    expires_at_column: Option<String>,

    /// Sessions do not expire
    #[arg(long, conflicts_with = "expires_at_column")]
    without_expires_at: bool,

    /// The column of the time at which a session ended [default: ended_at]
    #[arg(long, value_name = "NAME")]
    ended_at_column: Option<String>,

    /// The end of a session is not stored
    #[arg(long, conflicts_with = "ended_at_column")]
    without_ended_at: bool,

    /// A status that means active; may be given several times [default: active]
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    active_status: Vec<String>,

    /// A status that means starting [default: creating, starting, pending, provisioning]
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    starting_status: Vec<String>,

    /// A status that means over [default: all others]
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    over_status: Vec<String>,

    /// The column of the epoch [default: owner_epoch, where the migration is applied]
    #[arg(long, value_name = "NAME")]
    epoch_column: Option<String>,

    /// The column of the release proof [default: owner_released]
    #[arg(long, value_name = "NAME")]
    released_column: Option<String>,

    /// The column of the owner that the epoch was set for [default: owner_epoch_of]
    #[arg(long, value_name = "NAME")]
    epoch_of_column: Option<String>,

    /// The table of machines [default: ownership_machines]
    #[arg(long, value_name = "NAME")]
    machines_table: Option<String>,

    /// The table of the fleet's freshness [default: ownership_fleet]
    #[arg(long, value_name = "NAME")]
    fleet_table: Option<String>,

    /// After how long without a beat a machine is lost [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lost_after: Option<Duration>,

    /// How long a question to the database may take [default: 1.8s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    database_timeout: Option<Duration>,
}

/// Of a lookup that is never asked.
const NOWHERE: &str = "postgres://localhost/nowhere?sslmode=disable";

type Builder = PostgresLookupBuilder;
/// What was said, and what it is said of.
type Name<'a> = (&'a Option<String>, fn(Builder, String) -> Builder);
type Switch = (bool, fn(Builder) -> Builder);

impl Database {
    pub fn builder(&self) -> Result<PostgresLookupBuilder, Failure> {
        let url = self.database.as_deref().filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| Failure {
            exit: Exit::Usage,
            text: "which database? say it with --database, or in DATABASE_URL".to_owned(),
        })?;
        Ok(self.named(url))
    }

    /// For whoever only wants the names.
    pub fn builder_without_a_server(&self) -> PostgresLookupBuilder {
        self.named(NOWHERE)
    }

    fn named(&self, url: &str) -> PostgresLookupBuilder {
        let mut builder = PostgresLookup::builder(url);
        let names: [Name<'_>; 13] = [
            (&self.schema, Builder::schema),
            (&self.table, Builder::table),
            (&self.id_column, Builder::id_column),
            (&self.owner_column, Builder::owner_column),
            (&self.status_column, Builder::status_column),
            (&self.address_column, Builder::address_column),
            (&self.expires_at_column, Builder::expires_at_column),
            (&self.ended_at_column, Builder::ended_at_column),
            (&self.epoch_column, Builder::epoch_column),
            (&self.released_column, Builder::released_column),
            (&self.epoch_of_column, Builder::epoch_of_column),
            (&self.machines_table, Builder::machines_table),
            (&self.fleet_table, Builder::fleet_table),
        ];
        for (name, set) in names {
            if let Some(name) = name {
                builder = set(builder, name.clone());
            }
        }
        let switches: [Switch; 5] = [
            (self.id_as_text, Builder::id_as_text),
            (self.without_status, Builder::without_status),
            (self.without_address, Builder::without_address),
            (self.without_expires_at, Builder::without_expires_at),
            (self.without_ended_at, Builder::without_ended_at),
        ];
        for (is_on, set) in switches {
            if is_on {
                builder = set(builder);
            }
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
        if let Some(limit) = self.database_timeout {
            builder = builder
                .timeout(limit)
                .pool_timeout(limit)
                .connect_timeout(limit)
                .query_timeout(limit);
        }
        builder
    }
}
