//! `ownership migrate`.

use clap::Args;
use serde_json::json;

use tower_ownership::{MachineId, PostgresDirectory, PostgresLookup};

use crate::{
    database::Database,
    exit::{Exit, Failure},
    output::{GOOD, Output, document, say},
    progress::while_waiting,
};

/// Show the SQL that makes the database keep ownership, or apply it.
///
/// It adds epochs, release proofs, and which machines are alive. Nothing is changed without --run, which makes only what is missing, and leaves out what would lock a large table for long. It
/// may be applied again and again, while the application runs.
///
/// With --json: sql and applied; with --run also done, left (what is left to do by hand, and its SQL), and warnings, what the layer would warn of now.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Apply it
    #[arg(long)]
    run: bool,

    /// The channel that its triggers notify [default: tower_ownership]
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,

    #[command(flatten)]
    database: Database,
}

impl Migrate {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        // Printing the text needs no connection.
        let builder = if self.run {
            self.database.builder()?
        } else {
            self.database.builder_without_a_server()
        };
        let lookup = builder.ownership().build()?;
        let directory = self.directory(&lookup)?;
        let sql = directory.migration()?;
        if !self.run {
            if output.json {
                document(&json!({ "sql": sql, "applied": false }));
            } else {
                say(sql.trim_end());
            }
            return Ok(Exit::Fine);
        }
        let applied = async {
            let migrated = directory.migrate().await?;
            let migration: MachineId = "migration"
                .parse()
                .map_err(|error| Failure::usage(&error))?;
            // The migration may be applied while something else does not fit.
            Ok::<_, Failure>((migrated, lookup.verify(&migration).await))
        };
        let (migrated, verified) = while_waiting("Applying the migration", applied).await?;
        let warnings: Vec<String> = match &verified {
            Ok(verified) => verified
                .warnings()
                .iter()
                .filter(|warning| !is_about_this_machine(warning))
                .map(ToString::to_string)
                .collect(),
            Err(error) => vec![error.to_string()],
        };
        if output.json {
            document(&json!({
                "sql": sql,
                "applied": true,
                "done": migrated.done,
                "left": migrated.left,
                "warnings": warnings,
            }));
        } else {
            say(format!("{GOOD}The migration is applied.{GOOD:#}"));
            if migrated.done.is_empty() {
                say("Everything was there.");
            }
            for done in &migrated.done {
                say(format!("made: {done}"));
            }
            for left in &migrated.left {
                say(format!("left to do by hand: {}\n{};", left.what, left.sql));
            }
            for warning in &warnings {
                say(format!("but {warning}"));
            }
        }
        Ok(if verified.is_ok() && migrated.left.is_empty() {
            Exit::Fine
        } else {
            Exit::Problem
        })
    }

    fn directory(&self, lookup: &PostgresLookup) -> Result<PostgresDirectory, Failure> {
        let directory = lookup.directory()?;
        Ok(match &self.channel {
            Some(channel) => directory.channel(channel),
            None => directory,
        })
    }
}

/// Whether it is only about the machine that `verify` was given, and here there is none.
fn is_about_this_machine(warning: &tower_ownership::postgres::PostgresWarning) -> bool {
    matches!(
        warning,
        tower_ownership::postgres::PostgresWarning::ForeignOwners { .. }
    )
}
