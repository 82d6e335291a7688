//! `ownership assign`, `release` and `end`.

use std::time::Duration;

use clap::Args;
use tower_ownership::{
    LookupErrorKind, MachineId, PostgresDirectory, Session, SessionDirectory as _, SessionId,
    SessionLookup as _, SessionStatus, directory::EndIf, postgres::AssignError,
};

use super::{Consent, Deed, Hand, Plan, count, directory, doable, lend, named, which::Which};
use crate::{
    database::Database,
    exit::{Exit, Failure},
    output::Output,
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

/// Some sessions, and what is done to each of them.
struct Sessions<'a, H> {
    ids: Vec<SessionId>,
    hand: &'a H,
}

trait OneByOne {
    const NAME: &'static str;
    /// Whether it can do nothing with a row that no machine can read.
    const NEEDS_ROW: bool;

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
                // What cannot be served can be given away or ended all the same.
                Err(error) if error.kind() == LookupErrorKind::Corrupt => {
                    if H::NEEDS_ROW {
                        deeds.push(deed.refused(&format!("{error}: assign or end it")));
                        continue;
                    }
                    Session::new(id.clone(), SessionStatus::Active)
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
                let which = self.which.ids(&fleet, &directory, output, &self.consent);
                let ids = which.await?;
                let sessions = Sessions { ids, hand: &self };
                lend(&sessions, &self.consent, &directory, output).await
            }
        }
    )*};
}

runs! { Assign Release End }

impl OneByOne for Assign {
    const NAME: &'static str = "assign";
    const NEEDS_ROW: bool = false;

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
    const NEEDS_ROW: bool = true;

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
    const NEEDS_ROW: bool = false;

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
