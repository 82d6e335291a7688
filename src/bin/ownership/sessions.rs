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
    listing::{DASH, Listing, Role},
    output::{FAINT, Output, Tone, say_to, written},
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
enum OwnersAre {
    Alive,
    Draining,
    Silent,
    Lost,
    NeverSeen,
    Unknown,
}

impl OwnersAre {
    fn owner_status(self) -> OwnerStatus {
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
            let mut sessions = match sessions {
                Ok(sessions) => sessions,
                Err(error) => return Err(Failure::of_fleet(&fleet, error).await),
            };
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
    let mut sessions = Listing::new(&[
        ("session", Role::Kept),
        ("owner", Role::Kept),
        ("presence", Role::Kept),
        ("status", Role::Spare),
        ("epoch", Role::Spare),
        ("left", Role::Spare),
    ]);
    for session in &listed.sessions {
        let presence = session.presence.as_str();
        let epoch = session.epoch.map_or_else(dash, |epoch| epoch.to_string());
        let left = session.remaining;
        let left = left.map_or_else(dash, |left| seconds(left.as_secs_f64()));
        sessions.row([
            (session.id.to_string(), Tone::Plain),
            match &session.owner {
                Some(owner) => (quoted(owner), Tone::Plain),
                None => ("none".to_owned(), Tone::Bad),
            },
            (presence.to_owned(), presence_tone(presence)),
            (session.status.clone().unwrap_or_else(dash), Tone::Faint),
            (epoch, Tone::Plain),
            (left, Tone::Faint),
        ]);
    }
    let mut text = sessions.text();
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
    DASH.to_owned()
}

/// An id, in quotation marks where it could not be told from another one otherwise.
pub fn quoted(id: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"';
    if !id.is_empty() && id.chars().all(is_plain) && id != DASH && id != "none" {
        id.to_owned()
    } else {
        format!("{id:?}")
    }
}

pub fn presence_tone(presence: &str) -> Tone {
    match presence {
        "alive" => Tone::Good,
        "unknown" => Tone::Faint,
        _ => Tone::Bad,
    }
}
