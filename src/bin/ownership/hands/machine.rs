//! `ownership gone` and `readmit`.

use clap::Args;
use tower_ownership::{
    MachineId, OwnerStatus, PostgresDirectory, doctor::seconds, postgres::SessionFilter,
};

use super::{Consent, Deed, Hand, Plan, count, directory, lend, named};
use crate::{
    database::Database,
    exit::{Exit, Failure},
    output::Output,
};

/// Declare a machine gone: it is lost for the whole fleet.
///
/// For a machine that will not come back, and for one that must stop. Its process stops serving with its
/// next heartbeat, and no process starts under its id before `ownership readmit`. It owns its sessions
/// until they are taken over, assigned or released.
///
/// With --json: command, dryRun, done, cost and results (each with machine, and refused if nothing was
/// done).
#[derive(Debug, Args)]
pub struct Gone {
    #[command(flatten)]
    one: OneMachine,
}

/// Take back that a machine was declared gone.
///
/// A process that has stopped serving does not begin again: start another one.
///
/// With --json: command, dryRun, done, cost and results (each with machine, and refused if nothing was
/// done).
#[derive(Debug, Args)]
pub struct Readmit {
    #[command(flatten)]
    one: OneMachine,
}

/// Which machine, and whether to do it.
#[derive(Debug, Args)]
struct OneMachine {
    /// The machine's id
    #[arg(value_name = "MACHINE")]
    machine: MachineId,

    #[command(flatten)]
    consent: Consent,

    #[command(flatten)]
    database: Database,
}

/// More sessions of a machine are not counted.
const COUNTED: usize = 9_999;

/// The machine as it was found.
struct Found<'a> {
    machine: &'a MachineId,
    /// `alive, last heartbeat 1s ago`.
    state: String,
    owned: usize,
}

const UNKNOWN: &str = "no such machine is known: see `ownership machines`";

impl Gone {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let OneMachine {
            machine,
            consent,
            database,
        } = self.one;
        consent.can_be_had()?;
        let (_, directory) = directory(&database).await?;
        let machines = directory.machines().await?;
        let known = { machines.iter() }.find(|known| known.id == machine.as_str());
        let state = match known {
            None => String::new(),
            Some(known) if known.gone => "declared gone already".to_owned(),
            Some(known) if known.left => "has left".to_owned(),
            Some(known) => {
                let presence = match known.presence {
                    // Its process is stopped.
                    OwnerStatus::Alive => "ALIVE",
                    presence => presence.as_str(),
                };
                let ago = seconds(known.beat_ago.as_secs_f64());
                format!("{presence}, last heartbeat {ago} ago")
            }
        };
        let filter = SessionFilter::OwnedBy(machine.clone());
        let owned = directory.sessions(&filter, COUNTED).await?.len();
        let found = Found {
            machine: &machine,
            state,
            owned,
        };
        lend(&found, &consent, &directory, output).await
    }
}

impl Hand for Found<'_> {
    const NAME: &'static str = "gone";

    async fn work(
        &self,
        directory: &PostgresDirectory,
        _: Option<&[Deed]>,
    ) -> Result<Vec<Deed>, Failure> {
        let deed = Deed::of_machine(self.machine);
        Ok(vec![if directory.declare_gone(self.machine).await? {
            deed
        } else {
            deed.refused(UNKNOWN)
        }])
    }

    fn plan(&self, _: &[Deed], _: &str) -> Plan {
        let machine = named(self.machine);
        let cost = match self.owned {
            0 => "none of a session: it owns none. ".to_owned(),
            owned => format!(
                "requests for its {} read 503 owner-lost, until another machine takes them over \
                 (OnLostOwner::TakeOver) or `ownership assign --owner {} --to …`; what the machine \
                 holds in memory is out of their reach. ",
                count(owned, "session"),
                self.machine,
            ),
        };
        Plan {
            question: format!("Declare {machine} gone ({})", self.state),
            cost: format!(
                "{cost}Its process stops serving within a heartbeat, and none starts under this id \
                 before `ownership readmit`."
            ),
            done: format!(
                "{machine} is declared gone. `ownership sessions --owner {}` lists what it owns.",
                self.machine
            ),
        }
    }
}

impl Readmit {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        self.one.consent.can_be_had()?;
        let (_, directory) = directory(&self.one.database).await?;
        lend(&self, &self.one.consent, &directory, output).await
    }
}

impl Hand for Readmit {
    const NAME: &'static str = "readmit";

    async fn work(
        &self,
        directory: &PostgresDirectory,
        _: Option<&[Deed]>,
    ) -> Result<Vec<Deed>, Failure> {
        let deed = Deed::of_machine(&self.one.machine);
        Ok(vec![if directory.readmit(&self.one.machine).await? {
            deed
        } else {
            deed.refused(UNKNOWN)
        }])
    }

    fn plan(&self, _: &[Deed], _: &str) -> Plan {
        let machine = named(&self.one.machine);
        Plan {
            question: format!("Readmit {machine}"),
            cost: "none for clients.".to_owned(),
            done: format!(
                "{machine} is readmitted. A process that has stopped serving does not begin again: \
                 start another one."
            ),
        }
    }
}
