//! `ownership reap`.

use std::time::Duration;

use clap::Args;
use tower_ownership::PostgresDirectory;

use super::{Consent, Deed, Hand, Plan, count, directory, lend};
use crate::{
    database::Database,
    exit::{Exit, Failure},
    output::Output,
};

/// Delete sessions and machines that are long over.
///
/// Sessions that ended or expired longer ago than --older-than, and machines that have been lost for longer
/// and own nothing. Machines that were declared gone stay.
///
/// With --json: command, dryRun, done, cost and results (each with session and its last epoch, or
/// machine).
#[derive(Debug, Args)]
pub struct Reap {
    /// For how long they have to be over; at least twice the lease TTL, 10s by default
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = retention)]
    older_than: Duration,

    /// Delete at most so many of each; a dry run looks at no more than 10,000
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    limit: usize,

    #[command(flatten)]
    consent: Consent,

    #[command(flatten)]
    database: Database,
}

/// What one statement deletes.
const BITE: usize = 10_000;

/// An id that comes again has to rest for longer than twice the lease TTL, which is 5 s by default.
const SHORTEST: Duration = Duration::from_secs(60);

fn retention(text: &str) -> Result<Duration, String> {
    let retention = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if retention < SHORTEST {
        return Err("it is less than a minute, in which requests still come".to_owned());
    }
    Ok(retention)
}

impl Reap {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        self.consent.can_be_had()?;
        let (_, directory) = directory(&self.database).await?;
        lend(&self, &self.consent, &directory, output).await
    }
}

impl Hand for Reap {
    const NAME: &'static str = "reap";

    async fn work(
        &self,
        directory: &PostgresDirectory,
        rehearsed: Option<&[Deed]>,
    ) -> Result<Vec<Deed>, Failure> {
        let mut deeds = Vec::new();
        let mut left = self.limit;
        while left > 0 {
            let bite = left.min(BITE);
            let reaped = directory.reap(self.older_than, bite).await?;
            let most = reaped.sessions.len().max(reaped.machines.len());
            deeds.extend(reaped.sessions.into_iter().map(|one| Deed {
                epoch: Some(one.epoch),
                ..Deed::of_session(&one.session)
            }));
            deeds.extend(
                reaped
                    .machines
                    .into_iter()
                    .map(|machine| Deed::of_machine(&machine)),
            );
            left -= bite;
            if rehearsed.is_none() || most < bite {
                break;
            }
        }
        Ok(deeds)
    }

    fn plan(&self, deeds: &[Deed], _: &str) -> Plan {
        let sessions = deeds.iter().filter(|deed| deed.session.is_some()).count();
        let what = format!(
            "{} and {}",
            count(sessions, "session"),
            count(deeds.len() - sessions, "machine")
        );
        Plan {
            question: format!("Delete {what}"),
            cost: "clients that come back to these sessions read 404 session-unknown in place of \
                   410 session-over, and the rows are gone."
                .to_owned(),
            done: format!("Deleted {what}."),
        }
    }
}
