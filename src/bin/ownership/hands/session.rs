//! `ownership assign`, `release` and `end`.

use std::time::Duration;

use clap::Args;
use tower_ownership::{
    MachineId, PostgresDirectory, Session, SessionDirectory as _, SessionId, SessionLookup as _,
    SessionStatus,
    directory::EndIf,
    doctor::Fleet,
    postgres::{AssignError, SessionFilter},
};

use super::{Consent, Deed, Hand, Plan, count, directory, doable, lend, named};
use crate::{
    database::Database,
    exit::{Exit, Failure},
    output::{Output, say},
};

/// Give sessions to a machine, whichever machine owned them before.
///
/// Only to a machine that is alive. To move a session without a wait, let its owner drain.
///
/// With --json: command, dryRun, done, cost and results (each with session, from, which is the owner
/// before, epoch, and refused if nothing was done).
#[derive(Debug, Args)]
pub struct Assign {
    #[command(flatten)]
    which: Which,

    /// The machine that gets them
    #[arg(long, value_name = "MACHINE")]
    to: MachineId,

    #[command(flatten)]
    consent: Consent,

    #[command(flatten)]
    database: Database,
}

/// Take sessions from their owner, so that another machine can claim them.
///
/// In place of a machine that cannot do it itself. The owner stops when it reads the row, within the
/// lease TTL.
///
/// With --json: command, dryRun, done, cost and results (each with session, from, which is the owner
/// before, epoch, and refused if nothing was done).
#[derive(Debug, Args)]
pub struct Release {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    consent: Consent,

    #[command(flatten)]
    database: Database,
}

/// End sessions for good.
///
/// Whichever machine owns them: in the column for the end, or, where there is none, by the status.
///
/// With --json: command, dryRun, done, cost and results (each with session, from, which is the owner,
/// epoch, and refused if nothing was done).
#[derive(Debug, Args)]
pub struct End {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    consent: Consent,

    #[command(flatten)]
    database: Database,
}

/// Which sessions.
#[derive(Debug, Args)]
struct Which {
    /// Session ids, or the beginning or the end of one as logs show it
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
    async fn ids(
        &self,
        fleet: &Fleet,
        directory: &PostgresDirectory,
        output: &Output,
    ) -> Result<Vec<SessionId>, Failure> {
        let Some(owner) = &self.owner else {
            let mut ids = Vec::new();
            for text in &self.sessions {
                ids.push(fleet.session_id(text).await?);
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

/// Some sessions, and what is done to each of them.
struct Sessions<'a, H> {
    ids: Vec<SessionId>,
    hand: &'a H,
}

trait OneByOne {
    const NAME: &'static str;

    async fn one(&self, directory: &PostgresDirectory, seen: Session, deed: Deed) -> Deed;

    fn plan(&self, deeds: &[Deed], ttl: &str) -> Plan;
}

const UNKNOWN: &str = "there is no such session";
const OVER: &str = "it is over";
const CHANGED: &str = "its owner has just changed";

impl<H: OneByOne> Hand for Sessions<'_, H> {
    const NAME: &'static str = H::NAME;

    async fn work(
        &self,
        directory: &PostgresDirectory,
        rehearsed: Option<&[Deed]>,
    ) -> Result<Vec<Deed>, Failure> {
        let mut deeds: Vec<Deed> = Vec::with_capacity(self.ids.len());
        for (at, id) in self.ids.iter().enumerate() {
            let deed = Deed::of_session(id);
            let seen = match directory.session(id.clone()).await {
                Ok(Some(seen)) => seen,
                Ok(None) => {
                    deeds.push(deed.refused(UNKNOWN));
                    continue;
                }
                // The first one tells that none can be done.
                Err(error) if deeds.is_empty() => return Err(error.into()),
                Err(error) => {
                    deeds.push(deed.unknown(&error));
                    continue;
                }
            };
            let deed = Deed {
                from: seen.owner().map(ToString::to_string),
                ..deed
            };
            let is_over =
                seen.status() == SessionStatus::Over || seen.remaining() == Some(Duration::ZERO);
            let before = rehearsed.and_then(|rehearsed| rehearsed.get(at));
            deeds.push(if is_over {
                deed.refused(OVER)
            } else if before.is_some_and(|before| before.from != deed.from) {
                deed.refused(CHANGED)
            } else {
                self.hand.one(directory, seen, deed).await
            });
        }
        Ok(deeds)
    }

    fn plan(&self, deeds: &[Deed], ttl: &str) -> Plan {
        self.hand.plan(deeds, ttl)
    }
}

macro_rules! runs {
    ($($hand:ident)*) => {$(
        impl $hand {
            pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
                self.consent.can_be_had()?;
                let (fleet, directory) = directory(&self.database).await?;
                let ids = self.which.ids(&fleet, &directory, output).await?;
                let sessions = Sessions { ids, hand: &self };
                lend(&sessions, &self.consent, &directory, output).await
            }
        }
    )*};
}

runs! { Assign Release End }

impl OneByOne for Assign {
    const NAME: &'static str = "assign";

    async fn one(&self, directory: &PostgresDirectory, seen: Session, deed: Deed) -> Deed {
        if seen.owner() == Some(&self.to) {
            return deed.refused("the machine owns it already");
        }
        match directory.assign(seen.id(), &self.to).await {
            Ok(assigned) => Deed {
                epoch: Some(assigned.epoch),
                from: assigned.previous.map(|owner| owner.to_string()),
                ..deed
            },
            Err(AssignError::Directory(error)) => deed.unknown(&error),
            Err(error) => deed.refused(&error),
        }
    }

    fn plan(&self, deeds: &[Deed], ttl: &str) -> Plan {
        let what = count(doable(deeds), "session");
        let to = named(&self.to);
        let had_owner = deeds.iter().any(|deed| deed.from.is_some());
        let memory = if had_owner {
            "; what the owner before holds in memory stays there, and clients do not find it"
        } else {
            ""
        };
        Plan {
            question: format!("Assign {what} to {to}"),
            cost: format!("requests for them read 503 session-moving for up to {ttl}{memory}."),
            done: format!("{to} owns {what} more."),
        }
    }
}

impl OneByOne for Release {
    const NAME: &'static str = "release";

    async fn one(&self, directory: &PostgresDirectory, seen: Session, deed: Deed) -> Deed {
        if seen.owner().is_none() {
            return deed.refused("it has no owner");
        }
        match directory.unassign(&seen).await {
            Ok(Some(released)) => Deed {
                epoch: Some(released.epoch),
                ..deed
            },
            Ok(None) => deed.refused(CHANGED),
            Err(error) => deed.unknown(&error),
        }
    }

    fn plan(&self, deeds: &[Deed], ttl: &str) -> Plan {
        let what = count(doable(deeds), "session");
        Plan {
            question: format!("Release {what}"),
            cost: format!(
                "requests for them read 503 session-unassigned until a machine claims them \
                 (OnUnassigned::Claim) or `ownership assign`, and then session-moving for up to \
                 {ttl}; what the owner holds in memory stays there, and clients do not find it."
            ),
            done: format!(
                "{what} released. `ownership sessions --unassigned` lists what no machine has claimed."
            ),
        }
    }
}

impl OneByOne for End {
    const NAME: &'static str = "end";

    async fn one(&self, directory: &PostgresDirectory, seen: Session, deed: Deed) -> Deed {
        match directory.end(seen.id().clone(), EndIf::Any).await {
            Ok(Some(epoch)) => Deed {
                epoch: Some(epoch),
                ..deed
            },
            Ok(None) => deed.refused(UNKNOWN),
            Err(error) => deed.unknown(&error),
        }
    }

    fn plan(&self, deeds: &[Deed], _: &str) -> Plan {
        let what = count(doable(deeds), "session");
        Plan {
            question: format!("End {what} for good"),
            cost: "requests for them read 410 session-over from now on, and open streams end. It \
                   cannot be taken back."
                .to_owned(),
            done: format!("{what} ended."),
        }
    }
}
