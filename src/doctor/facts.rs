//! All that was read, before it is judged.

use serde::{Serialize, Serializer};

use crate::{
    Finding, OwnerStatus,
    machine::shape::alike,
    postgres::{SeenLock, SeenMachine},
};

/// What one investigation read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Facts {
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
    /// The text is no id, and not a part of exactly one, so there was nothing to ask for.
    NotAsked {
        why: String,
    },
    Down {
        error: String,
    },
    /// It answered, and refused, or is not the one to ask.
    Refused {
        finding: Finding,
        error: String,
    },
    /// Other connections keep even readers waiting.
    Locked {
        locks: Vec<SeenLock>,
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
    /// Held by other connections, which keep machines from writing.
    pub(super) locks: Vec<SeenLock>,
    /// What this user would have to be granted for a machine's work, as statements.
    pub(super) denied: Vec<String>,
    /// What is missing for changes to be heard at once.
    pub(super) feed: Vec<String>,
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
    /// Its last owner gave it up, and says so.
    pub(super) released: bool,
    #[serde(serialize_with = "presence_word")]
    pub(super) presence: OwnerStatus,
}

/// What the row says, as a lookup reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Meaning {
    Active,
    Starting,
    Over,
    /// A lookup refuses it, because its owner changed while triggers were missing.
    Drifted(String),
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
    /// The directory is not a table that this crate migrates.
    Unknown,
}

/// Something that makes lookups fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault {
    pub(super) finding: Finding,
    pub(super) text: String,
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
        /// The platform's word for its state.
        word: String,
        region: Option<String>,
        /// Its services; `None` if they are not known.
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

/// What came of the request to the public URL.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(
    tag = "state",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(super) enum Answer {
    #[default]
    NotAsked,
    Failed {
        /// The URL that gave none: the public one, or the target of a redirect.
        url: String,
        error: String,
        redirects: Vec<String>,
    },
    Got(Box<Got>),
}

/// An answer, as a client sees it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Got {
    /// The public one.
    pub(super) url: String,
    /// Where redirects led from there.
    pub(super) redirects: Vec<String>,
    /// This is one redirect more than is followed.
    pub(super) circular: bool,
    /// Of the last answer.
    pub(super) milliseconds: u64,
    pub(super) status: u16,
    /// `Ownership-Code`: set if the layer answered.
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
    /// The machine that answered, if the answer says so.
    pub(super) machine: Option<String>,
    /// A `fly-replay` that no proxy removed.
    pub(super) replay: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) via: Vec<String>,
    pub(super) server: Option<String>,
    pub(super) empty: bool,
    /// Its way through an edge in this process.
    pub(super) hops: Vec<String>,
    /// Addresses of the URL's host and of the app's own name, if both could be resolved.
    pub(super) addresses: Option<Addresses>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Addresses {
    pub(super) host: String,
    pub(super) of_the_host: Vec<String>,
    pub(super) app: String,
    pub(super) of_the_app: Vec<String>,
}

impl Got {
    /// The machine that answered, in words.
    pub(super) fn by(&self) -> String {
        match &self.machine {
            Some(machine) => format!("`{machine}`"),
            None => "a machine that did not say its name".to_owned(),
        }
    }

    /// Whether something served the request: no error, and not the layer.
    pub(super) fn is_served(&self) -> bool {
        self.code.is_none() && self.status < 400 && !self.circular
    }

    /// Whether Fly's proxy was on the way, by what it writes into answers.
    pub(super) fn came_through_fly(&self) -> bool {
        self.request_id.is_some()
            || self.via.iter().any(|via| via.contains("fly.io"))
            || self
                .server
                .as_deref()
                .is_some_and(|server| server.starts_with("Fly/"))
    }

    /// The edge of Fly's that took the request, by its region.
    pub(super) fn edge(&self) -> Option<&str> {
        let (_, edge) = self.request_id.as_deref()?.rsplit_once('-')?;
        Some(edge)
    }

    /// Why a replay failed, in the proxy's words; the detail ends with them.
    pub(super) fn reason(&self) -> Option<&'static str> {
        let detail = self.detail.as_deref()?;
        ["no_candidate", "retries_exhausted", "timeout"]
            .into_iter()
            .find(|reason| detail.contains(&format!("({reason})")))
    }
}

impl Facts {
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
    /// A header that names machines by ids of another form does not tell which one it was.
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

    /// The owner's presence by its own row, or else by the layer's code.
    pub(super) fn owner_status(&self) -> OwnerStatus {
        let told = self.row().map_or(OwnerStatus::Unknown, |row| row.presence);
        let code = self.got().and_then(|got| got.code.as_deref());
        match (told, code) {
            (OwnerStatus::Unknown, Some("owner-never-seen")) => OwnerStatus::NeverSeen,
            (OwnerStatus::Unknown | OwnerStatus::Silent, Some("owner-lost")) => OwnerStatus::Lost,
            (told, _) => told,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a field by reference, whatever it is"
)]
fn presence_word<S: Serializer>(presence: &OwnerStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(presence.as_str())
}
