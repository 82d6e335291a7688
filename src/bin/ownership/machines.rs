//! `ownership machines`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tower_ownership::{
    OwnerStatus,
    doctor::{Fleet, seconds},
    postgres::MachineStatus,
};

use crate::{
    database::Database,
    exit::{Exit, Failure},
    listing::{Listing, Role},
    output::{FAINT, Output, Tone, say_to, written},
    progress::while_waiting,
    sessions::{dash, presence_tone, quoted},
    watch::{Seen, Watch},
};

/// List machines.
///
/// All that the directory knows, also those that are no more.
///
/// With --json: machines, each with id, app, region, address, version, startedSecondsAgo,
/// beatSecondsAgo, rivalSecondsAgo (if another process wrote under its id), presence, draining, left
/// and gone.
#[derive(Debug, Args)]
pub struct Machines {
    /// Only those that are so
    #[arg(long, value_enum)]
    presence: Option<MachinesAre>,

    /// Only those of one region
    #[arg(long, value_name = "CODE")]
    region: Option<String>,

    #[command(flatten)]
    watch: Watch,

    #[command(flatten)]
    database: Database,
}

impl Machines {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let fleet = Fleet::postgres(self.database.builder()?)?;
        let look = async || {
            let machines = while_waiting("Listing machines", fleet.machines()).await;
            let mut machines = match machines {
                Ok(machines) => machines,
                Err(error) => return Err(Failure::of_fleet(&fleet, error).await),
            };
            machines.retain(|machine| self.wants(machine));
            Ok(Seen {
                text: if output.json {
                    let document = serde_json::json!({ "machines": machines });
                    written(&document, self.watch.is_on())
                } else {
                    told(&machines)
                },
                exit: Exit::Fine,
            })
        };
        self.watch.look(output, look).await
    }

    fn wants(&self, machine: &MachineStatus) -> bool {
        self.presence.is_none_or(|wanted| wanted.are(machine))
            && (self.region.is_none() || machine.region == self.region)
    }
}

/// How machines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MachinesAre {
    Alive,
    Draining,
    Silent,
    /// Those that have left or were declared gone among them
    Lost,
    Left,
    /// Declared gone
    Gone,
    /// Two processes run under the id
    Rival,
}

impl MachinesAre {
    fn are(self, machine: &MachineStatus) -> bool {
        match self {
            Self::Alive => machine.presence == OwnerStatus::Alive,
            Self::Draining => machine.presence == OwnerStatus::Draining,
            Self::Silent => machine.presence == OwnerStatus::Silent,
            Self::Lost => machine.presence == OwnerStatus::Lost,
            Self::Left => machine.left,
            Self::Gone => machine.gone,
            Self::Rival => rival(machine).is_some(),
        }
    }
}

/// A rival that is silent for longer runs no more: twenty heartbeats of the default.
const RIVAL: Duration = Duration::from_secs(60);

fn rival(machine: &MachineStatus) -> Option<Duration> {
    machine.rival_ago.filter(|ago| *ago < RIVAL)
}

fn told(machines: &[MachineStatus]) -> String {
    let mut listed = Listing::new(&[
        ("machine", Role::Kept),
        ("presence", Role::Kept),
        ("seen", Role::Kept),
        ("started", Role::Spare),
        ("region", Role::Spare),
        ("version", Role::Spare),
        ("app", Role::Spare),
    ]);
    for machine in machines {
        let presence = machine.presence.as_str();
        let how = match (machine.gone, machine.left) {
            (true, _) => "declared gone",
            (_, true) => "left",
            _ => presence,
        };
        let (how, tone) = match rival(machine) {
            Some(ago) => {
                let ago = seconds(ago.as_secs_f64().max(1.0));
                (format!("{how}, rival {ago} ago"), Tone::Bad)
            }
            None => (how.to_owned(), presence_tone(presence)),
        };
        let ago = |ago: Duration| match ago.as_secs() {
            0 => "now".to_owned(),
            _ => format!("{} ago", seconds(ago.as_secs_f64())),
        };
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(dash);
        listed.row([
            (quoted(&machine.id), Tone::Plain),
            (how, tone),
            (ago(machine.beat_ago), Tone::Plain),
            (ago(machine.started_ago), Tone::Faint),
            (or_dash(&machine.region), Tone::Faint),
            (or_dash(&machine.version), Tone::Faint),
            (or_dash(&machine.app), Tone::Faint),
        ]);
    }
    let mut text = listed.text();
    say_to(
        &mut text,
        format_args!("\n\n{FAINT}{} machines{FAINT:#}", machines.len()),
    );
    text
}
