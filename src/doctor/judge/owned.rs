//! What is wrong with a session whose row is fine and names an owner: the owner, or ([`way`]) the way there.

use crate::{
    Finding, OwnerStatus, PostgresLookup,
    doctor::{
        Complaint,
        facts::{Answer, Facts, Got, PlatformMachine},
        words::seconds,
    },
    machine::shape::alike,
    postgres::SeenMachine,
};

mod way;

/// What the ids of Fly's machines look like.
const FLY_MACHINE: &str = "e2863555a91708";

/// A session whose row names an owner, and nothing is wrong with the row.
pub(super) struct Case<'a> {
    facts: &'a Facts,
    owner: &'a str,
    machine: Option<&'a SeenMachine>,
    /// `The row is fine, the request was handled by …, and `
    lead: String,
}

impl<'a> Case<'a> {
    /// Everything that is wrong, gravest first.
    pub(super) fn judge(facts: &'a Facts, owner: &'a str, found: &mut Vec<Complaint>) {
        let case = Self::of(facts, owner);
        // What stands before explains all that follows.
        let first = found.len();
        if facts.is_doubled() {
            let evidence = "; the older one refuses every session, and requests reach either";
            found.push(case.told(Finding::DuplicateIdentity, evidence));
        }
        found.extend(case.of_the_owner());
        case.of_the_way(found, first);
    }

    fn of(facts: &'a Facts, owner: &'a str) -> Self {
        let handled = match &facts.answer {
            Answer::NotAsked => String::new(),
            Answer::Failed { redirects, .. } if !redirects.is_empty() => {
                ", the redirect led to no answer".to_owned()
            }
            Answer::Failed { .. } => ", the public URL did not answer".to_owned(),
            Answer::Got(got) => format!(", the request was handled by {}", got.by()),
        };
        // Of a comma and "and", both are needed after a clause.
        let and = if handled.is_empty() {
            " and "
        } else {
            ", and "
        };
        Self {
            facts,
            owner,
            machine: facts.machine(),
            lead: format!("The row is fine{handled}{and}"),
        }
    }

    fn told(&self, finding: Finding, evidence: &str) -> Complaint {
        Complaint::of_owner(finding, &self.lead, self.owner, evidence)
    }

    fn of_the_owner(&self) -> Option<Complaint> {
        let facts = self.facts;
        let presence = facts.owner_status();
        let never_seen = presence == OwnerStatus::NeverSeen;
        let served = facts.is_served_in_its_place();
        let is_gone = facts.platform.machine == PlatformMachine::Gone;
        let unheard_of =
            never_seen || presence == OwnerStatus::Unknown && (is_gone || facts.no_candidate());
        if let Some(other) = facts.another_form(self.owner).filter(|_| unheard_of) {
            let evidence = format!(
                ": this session's is `{}`, while machines are called like `{other}`, so no machine ever \
                 finds itself the owner",
                self.owner
            );
            return Some(self.told(Finding::WrongIdentity, &evidence));
        }
        let seen = self.machine.map(|seen| seconds(seen.beat_seconds_ago));
        let (finding, evidence) = match &facts.platform.machine {
            PlatformMachine::Gone if never_seen => (
                Finding::OwnerNeverSeen,
                ", and the platform knows no such machine, so the container was not created"
                    .to_owned(),
            ),
            PlatformMachine::Gone => (
                Finding::OwnerGone,
                format!(
                    ": the platform knows no such machine{}, so it was destroyed, or never created",
                    seen.map_or_else(String::new, |ago| format!(", last seen {ago} ago"))
                ),
            ),
            PlatformMachine::Known { word, services, .. } if word != "started" && !served => {
                let autostart = services.iter().flatten().filter_map(|one| one.autostart);
                let wakes = autostart.clone().count() == 0 || autostart.clone().any(|on| on);
                let asleep = if wakes {
                    ""
                } else {
                    ", and no replay wakes it, since autostart is off"
                };
                let finding = match word.as_str() {
                    "created" | "creating" | "starting" | "launch_failed" | "failed" => {
                        Finding::OwnerNotStarted
                    }
                    "destroyed" | "destroying" | "replaced" | "migrated" => Finding::OwnerGone,
                    _ => Finding::OwnerStopped,
                };
                (finding, format!(": the platform says {word:?}{asleep}"))
            }
            PlatformMachine::Known { .. } if never_seen && !served => (
                Finding::OwnerNeverSeen,
                ", although the platform says that it runs: its process sends no heartbeats here, \
                 or calls itself by another id"
                    .to_owned(),
            ),
            // A machine that the platform knows is out of the proxy's reach for another reason.
            PlatformMachine::NotAsked | PlatformMachine::NotAnswered { .. }
                if facts.no_candidate() && !never_seen =>
            {
                let known = match (presence, seen) {
                    (OwnerStatus::Alive | OwnerStatus::Draining, None) => {
                        ", although the directory takes it for alive".to_owned()
                    }
                    (OwnerStatus::Lost, Some(ago)) => format!(", last seen {ago} ago"),
                    (_, Some(ago)) => format!(", although it was seen {ago} ago"),
                    (_, None) => ", so it was destroyed, or never created".to_owned(),
                };
                let evidence = format!(": the proxy knows no such machine{known}");
                (Finding::OwnerGone, evidence)
            }
            _ => return self.of_presence(presence, served),
        };
        Some(self.told(finding, &evidence))
    }

    fn of_presence(&self, presence: OwnerStatus, served: bool) -> Option<Complaint> {
        let (finding, evidence) = match presence {
            // By chance: requests that reach other machines are refused.
            OwnerStatus::Lost | OwnerStatus::NeverSeen if served => {
                let how = match presence {
                    OwnerStatus::NeverSeen => ": it is not in the table of machines".to_owned(),
                    _ => lost(self.facts),
                };
                let status = self.facts.got().map_or(0, |got| got.status);
                let evidence = format!(
                    "{how}, and yet the request was answered {status}; requests that reach other \
                     machines are refused"
                );
                (Finding::HeartbeatsMissing, evidence)
            }
            OwnerStatus::NeverSeen => (
                Finding::OwnerNeverSeen,
                ", so the container was not created".to_owned(),
            ),
            OwnerStatus::Lost => (Finding::OwnerLost, lost(self.facts)),
            OwnerStatus::Draining => (
                Finding::OwnerDraining,
                ": it gives its sessions up, and will serve no new request".to_owned(),
            ),
            _ => return None,
        };
        Some(self.told(finding, &evidence))
    }
}

/// Since when and why the owner is lost, by its row.
pub(super) fn lost(facts: &Facts) -> String {
    let how = match facts.machine() {
        Some(SeenMachine {
            gone_seconds_ago: Some(ago),
            ..
        }) => format!("it was declared gone {} ago", seconds(*ago)),
        Some(SeenMachine {
            left_seconds_ago: Some(ago),
            ..
        }) => format!("it has left {} ago", seconds(*ago)),
        Some(seen) => format!("it was last seen {} ago", seconds(seen.beat_seconds_ago)),
        None => "it sends no heartbeats, or has left".to_owned(),
    };
    format!(": {how}")
}

impl Facts {
    fn machine(&self) -> Option<&SeenMachine> {
        self.answered()?.machine.as_ref()
    }

    fn is_doubled(&self) -> bool {
        let told = self.got().and_then(|got| got.code.as_deref()) == Some("duplicate-identity");
        let rival = self.machine().and_then(|seen| seen.rival_seconds_ago);
        told || rival.is_some_and(|ago| ago < PostgresLookup::RIVAL_SECONDS)
    }

    fn no_candidate(&self) -> bool {
        self.got().is_some_and(|got| {
            got.code.as_deref() == Some("owner-unreachable") && got.reason() == Some("no_candidate")
        })
    }

    /// A machine that does run, if it has an id of another form than the owner's.
    fn another_form(&self, owner: &str) -> Option<&str> {
        let alive = self.answered()?.alive.iter().map(String::as_str);
        let handled = self.got().and_then(|got| got.machine.as_deref());
        let known: Vec<&str> = handled.into_iter().chain(alive).collect();
        if known.iter().any(|id| alike(id, owner)) {
            return None;
        }
        let is_on_fly =
            self.platform.app.is_some() || self.got().is_some_and(Got::came_through_fly);
        let of_fly = (is_on_fly && !alike(FLY_MACHINE, owner)).then_some(FLY_MACHINE);
        known.first().copied().or(of_fly)
    }
}
