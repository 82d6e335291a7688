//! `ownership sessions`.

use clap::{Args, ValueEnum};
use tower_ownership::{
    MachineId, OwnerStatus,
    doctor::{Fleet, FleetSessions, seconds},
    postgres::SessionFilter,
};

use crate::{
    database::Database,
    exit::{Exit, Failure},
    output::{FAINT, Output, Tone, cell, lines, say_to, table, written},
    progress::while_waiting,
    watch::{Seen, Watch},
};

/// List active and starting sessions.
///
/// They come in the order of their owners. Starting ones are left out while the index of owners is
/// one of active sessions only, as an earlier version made it: `ownership migrate --run` replaces it.
///
/// With --json: ownershipKept (whether epochs and presence are known here), sessions (each with id,
/// status, owner, epoch, presence and remainingSeconds), and truncated (whether there are more).
#[derive(Debug, Args)]
pub struct Sessions {
    /// Only the active ones without an owner
    #[arg(long, conflicts_with_all = ["owner", "presence"])]
    unassigned: bool,

    /// Only those of one machine
    #[arg(long, value_name = "ID", conflicts_with = "presence")]
    owner: Option<MachineId>,

    /// Only those whose owners are so
    #[arg(long, value_enum)]
    presence: Option<OwnersAre>,

    /// Only those whose id begins or ends so, as logs show it
    #[arg(long, value_name = "PART")]
    id: Option<String>,

    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=9999))]
    limit: u16,

    #[command(flatten)]
    watch: Watch,

    #[command(flatten)]
    database: Database,
}

/// Among so many a part of an id is looked for.
const MOST: usize = 9_999;

/// How owners are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OwnersAre {
    Alive,
    Draining,
    Silent,
    Lost,
    NeverSeen,
    Unknown,
}

impl OwnersAre {
    pub fn owner_status(self) -> OwnerStatus {
        match self {
            Self::Alive => OwnerStatus::Alive,
            Self::Draining => OwnerStatus::Draining,
            Self::Silent => OwnerStatus::Silent,
            Self::Lost => OwnerStatus::Lost,
            Self::NeverSeen => OwnerStatus::NeverSeen,
            Self::Unknown => OwnerStatus::Unknown,
        }
    }
}

impl Sessions {
    pub async fn run(self, output: &Output) -> Result<Exit, Failure> {
        let fleet = Fleet::postgres(self.database.builder()?)?;
        let filter = match (self.unassigned, self.owner, self.presence) {
            (true, _, _) => SessionFilter::Unassigned,
            (_, Some(owner), _) => SessionFilter::OwnedBy(owner),
            (_, _, Some(presence)) => SessionFilter::OwnersAre(presence.owner_status()),
            _ => SessionFilter::All,
        };
        let limit = usize::from(self.limit);
        let part = self.id.as_deref().map(|part| part.trim_matches('…'));
        let listed = if part.is_some() { MOST } else { limit };
        let look = async || {
            let listing = fleet.sessions(&filter, listed);
            let sessions = while_waiting("Listing sessions", listing).await;
            let mut sessions = sessions.map_err(|error| Failure::unknown(&error))?;
            if let Some(part) = part {
                sessions.sessions.retain(|session| {
                    let id = session.id.to_string();
                    id.starts_with(part) || id.ends_with(part)
                });
                sessions.truncated |= sessions.sessions.len() > limit;
                sessions.sessions.truncate(limit);
            }
            Ok(Seen {
                text: if output.json {
                    written(&sessions, self.watch.is_on())
                } else {
                    told(&sessions)
                },
                exit: Exit::Fine,
            })
        };
        self.watch.look(output, look).await
    }
}

fn told(listed: &FleetSessions) -> String {
    let mut sessions = table(&["session", "owner", "presence", "epoch", "status", "left"]);
    for session in &listed.sessions {
        sessions.add_row([
            cell(session.id.to_string(), Tone::Plain),
            match &session.owner {
                Some(owner) => cell(owner, Tone::Plain),
                None => cell("none", Tone::Bad),
            },
            cell(
                session.presence.as_str(),
                presence_tone(session.presence.as_str()),
            ),
            cell(
                session.epoch.map_or_else(dash, |epoch| epoch.to_string()),
                Tone::Plain,
            ),
            cell(session.status.clone().unwrap_or_else(dash), Tone::Faint),
            cell(
                session
                    .remaining
                    .map_or_else(dash, |left| seconds(left.as_secs_f64())),
                Tone::Faint,
            ),
        ]);
    }
    let mut text = lines(sessions);
    let count = listed.sessions.len();
    let more = if listed.truncated {
        ", and there are more (--limit)"
    } else {
        ""
    };
    say_to(
        &mut text,
        format_args!("\n\n{FAINT}{count} active{more}{FAINT:#}"),
    );
    if !listed.ownership_kept {
        say_to(&mut text, format_args!("\n{FAINT}{NOT_KEPT}{FAINT:#}"));
    }
    text
}

/// What has to be said where it is so.
pub const NOT_KEPT: &str =
    "Neither epochs nor presence are known here: the ownership migration is not applied.";

pub fn dash() -> String {
    "-".to_owned()
}

pub fn presence_tone(presence: &str) -> Tone {
    match presence {
        "alive" => Tone::Good,
        "unknown" => Tone::Faint,
        _ => Tone::Bad,
    }
}
