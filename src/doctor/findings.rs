//! All that was found out, before anybody judges it.

use serde::{Serialize, Serializer};

use crate::{Presence, lookup::postgres::SeenMachine, machine::shape::alike};

mod answer;

pub(super) use answer::{Addresses, Answer, Got};

/// What one investigation found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Findings {
    pub(super) session: String,
    pub(super) directory: Directory,
    pub(super) platform: Platform,
    pub(super) answer: Answer,
}

/// What the directory said.
#[derive(Clone, Debug, Serialize)]
#[serde(
    tag = "state",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum Directory {
    /// The id is malformed, so there was nothing to ask for.
    NotAsked,
    Down {
        error: String,
    },
    Late {
        error: String,
    },
    /// Sessions are not stored as configured.
    Misfit {
        faults: Vec<Fault>,
    },
    Answered(Box<Answered>),
}

/// The directory's answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answered {
    /// How long it took, on a connection that was open already.
    pub(super) milliseconds: u64,
    pub(super) row: Option<SessionRow>,
    pub(super) kept: Kept,
    /// The owner's own row.
    pub(super) machine: Option<SeenMachine>,
    /// Ids of some machines that are alive.
    pub(super) alive: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// A session's row.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionRow {
    pub(super) owner: Option<String>,
    /// The word in the row, if there is one.
    pub(super) status: Option<String>,
    pub(super) meaning: Meaning,
    pub(super) remaining_seconds: Option<f64>,
    pub(super) address: Option<String>,
    pub(super) epoch: Option<i64>,
    #[serde(serialize_with = "presence_word")]
    pub(super) presence: Presence,
}

/// What the row says, as a lookup reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Meaning {
    Active,
    Starting,
    Over,
    /// A lookup refuses it, because of this.
    Unusable(String),
}

/// Whether epochs and presence are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kept {
    Yes,
    /// The ownership migration is not applied.
    No,
    /// This is missing.
    Partly(Vec<String>),
    /// The directory is not a table of ours.
    Unknown,
}

/// Something that makes lookups fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FaultKind {
    Table,
    Column,
    Type,
    Migration,
}

/// What the platform said of the owner.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Platform {
    pub(super) app: Option<String>,
    pub(super) machine: PlatformMachine,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(
    tag = "state",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum PlatformMachine {
    #[default]
    NotAsked,
    /// It was asked, and this came of it.
    NotAnswered { why: String },
    /// There is none of this id in the app.
    Gone,
    Known {
        /// In the platform's words.
        word: String,
        region: Option<String>,
        /// What it offers to the proxy; `None`: nothing was said of it.
        services: Option<Vec<Service>>,
    },
}

/// What a machine offers to the proxy on one public port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    pub(super) port: Option<u16>,
    pub(super) handlers: Vec<String>,
    pub(super) autostart: Option<bool>,
}

impl Findings {
    pub(super) fn answered(&self) -> Option<&Answered> {
        match &self.directory {
            Directory::Answered(answered) => Some(answered),
            _ => None,
        }
    }

    pub(super) fn row(&self) -> Option<&SessionRow> {
        self.answered()?.row.as_ref()
    }

    pub(super) fn owner(&self) -> Option<&str> {
        self.row()?.owner.as_deref()
    }

    pub(super) fn got(&self) -> Option<&Got> {
        match &self.answer {
            Answer::Got(got) => Some(got),
            _ => None,
        }
    }

    /// The machine that served the request in the owner's place.
    ///
    /// What names machines by ids of another form than the row does says nothing of whose they are.
    pub(super) fn served_elsewhere(&self) -> Option<&str> {
        let owner = self.owner()?;
        let got = self.got().filter(|got| got.is_served())?;
        let machine = got.machine.as_deref()?;
        (machine != owner && alike(machine, owner)).then_some(machine)
    }

    /// Whether the request was served, and as far as is known by the owner.
    pub(super) fn is_served_in_its_place(&self) -> bool {
        self.got().is_some_and(Got::is_served) && self.served_elsewhere().is_none()
    }

    /// How the owner is, by its own row, or by what the layer says of it.
    pub(super) fn presence(&self) -> Presence {
        let told = self.row().map_or(Presence::Unknown, |row| row.presence);
        let code = self.got().and_then(|got| got.code.as_deref());
        match (told, code) {
            (Presence::Unknown, Some("owner-never-seen")) => Presence::NeverSeen,
            (Presence::Unknown | Presence::Silent, Some("owner-lost")) => Presence::Lost,
            (told, _) => told,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a field by reference, whatever it is"
)]
fn presence_word<S: Serializer>(presence: &Presence, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(presence.as_str())
}
