//! The sessions that a command is about.

use clap::Args;
use tower_ownership::{
    MachineId, PostgresDirectory, SessionId, doctor::Fleet, postgres::SessionFilter,
};

use super::{Consent, named};
use crate::{
    exit::{Exit, Failure},
    output::{Output, say},
};

/// Which sessions.
#[derive(Debug, Args)]
pub struct Which {
    /// Session ids; without --yes, also the beginning or the end of one as logs show it
    #[arg(
        value_name = "SESSION",
        required_unless_present = "owner",
        conflicts_with = "owner"
    )]
    sessions: Vec<String>,

    /// All active and starting sessions of this machine
    #[arg(long, value_name = "MACHINE")]
    owner: Option<MachineId>,

    /// At most so many of --owner
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=9999))]
    limit: u16,
}

impl Which {
    pub async fn ids(
        &self,
        fleet: &Fleet,
        directory: &PostgresDirectory,
        output: &Output,
        consent: &Consent,
    ) -> Result<Vec<SessionId>, Failure> {
        let Some(owner) = &self.owner else {
            let mut ids = Vec::new();
            for text in &self.sessions {
                let id = fleet.session_id(text).await?;
                // A number that is no session's may be a part of another one.
                if consent.yes
                    && id.to_string() != *text
                    && SessionId::parse(text) != Ok(id.clone())
                {
                    return Err(Failure {
                        exit: Exit::Usage,
                        text: format!("{text:?} is a part of {id}: with --yes, give the whole id"),
                    });
                }
                ids.push(id);
            }
            return Ok(ids);
        };
        let filter = SessionFilter::OwnedBy(owner.clone());
        let limit = usize::from(self.limit);
        let listed = directory.sessions(&filter, limit + 1).await?;
        if listed.is_empty() {
            return Err(Failure {
                exit: Exit::Problem,
                text: format!("{} owns no active or starting session", named(owner)),
            });
        }
        if listed.len() > limit && !output.json {
            say(format!(
                "{} owns more than {limit} (--limit)\n",
                named(owner)
            ));
        }
        Ok(listed.into_iter().take(limit).map(|one| one.id).collect())
    }
}
