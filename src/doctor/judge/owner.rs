//! What is wrong with the owner of a session whose row is fine.

use super::{Judgement, words};
use crate::{
    Presence,
    doctor::{
        cause::Cause,
        findings::{Findings, PlatformMachine},
    },
    lookup::postgres::SeenMachine,
    machine::shape::alike,
};

const NOT_TIMING: &str = "it is not a database timing problem";

/// How long ago another process may have spoken up for it still to be there: twenty beats of the
/// default, and more than machines need to notice.
const RIVAL: f64 = 60.0;

pub(super) fn judge(findings: &Findings, owner: &str, found: &mut Vec<Judgement>) {
    let machine = findings.answered().and_then(|a| a.machine.as_ref());
    if is_doubled(findings, machine) {
        found.push(Judgement::new(
            Cause::DuplicateIdentity,
            format!(
                "Two processes say that they are `{owner}`; the older one refuses every session, \
                 and requests reach now the one and now the other."
            ),
            "Look at where machines get their identity from: each running container needs an id \
             of its own.",
        ));
    }
    found.extend(of_the_owner(findings, owner, machine));
}

fn is_doubled(findings: &Findings, machine: Option<&SeenMachine>) -> bool {
    let told = findings.got().and_then(|got| got.code.as_deref()) == Some("duplicate-identity");
    let rival = machine.and_then(|machine| machine.rival_seconds_ago);
    told || rival.is_some_and(|ago| ago < RIVAL)
}

fn of_the_owner(
    findings: &Findings,
    owner: &str,
    machine: Option<&SeenMachine>,
) -> Option<Judgement> {
    let so_far = words::so_far(findings);
    let presence = findings.presence();
    let served = findings.is_served_in_its_place();
    let is_gone = findings.platform.machine == PlatformMachine::Gone;
    let unheard_of = presence == Presence::NeverSeen
        || presence == Presence::Unknown && (is_gone || no_candidate(findings));
    if unheard_of && let Some(other) = another_form(findings, owner) {
        return Some(Judgement::new(
            Cause::IdentityMismatch,
            format!(
                "The row is fine, and its owner is `{owner}`, while machines are called like \
                 `{other}`: sessions are assigned by another id than machines have, so no machine \
                 ever finds itself the owner; {NOT_TIMING}."
            ),
            "Have the orchestrator write the id that the process reads at its start (on Fly.io \
             FLY_MACHINE_ID), or tell the layer the other one with `machine(…)`.",
        ));
    }
    let last_seen = || match machine {
        Some(machine) => format!(
            " was last seen {} ago, and",
            words::seconds(machine.beat_seconds_ago)
        ),
        None => String::new(),
    };
    match &findings.platform.machine {
        PlatformMachine::Gone if presence == Presence::NeverSeen => {
            return Some(Judgement::new(
                Cause::OwnerNeverSeen,
                format!(
                    "{so_far} the owner `{owner}` was never seen, and the platform knows no such \
                     machine, so the container was not created; {NOT_TIMING}."
                ),
                NEVER_SEEN,
            ));
        }
        PlatformMachine::Gone => {
            return Some(Judgement::new(
                Cause::OwnerGone,
                format!(
                    "{so_far} the owner `{owner}`{} is no machine of the app: it was destroyed, \
                     or never created; {NOT_TIMING}.",
                    last_seen()
                ),
                "Assign the session to a machine that is there, and have whoever destroys a \
                 machine clear its sessions' owner; machines can also take over what a lost one \
                 owned (`OnLostOwner::TakeOver`).",
            ));
        }
        PlatformMachine::Known { word, services, .. } if word != "started" && !served => {
            let autostart = services.iter().flatten().filter_map(|s| s.autostart);
            let never_starts = autostart.clone().count() > 0 && autostart.clone().all(|on| !on);
            return Some(not_running(&so_far, owner, word, never_starts));
        }
        PlatformMachine::Known { .. } if presence == Presence::NeverSeen => {
            return Some(Judgement::new(
                Cause::OwnerNeverSeen,
                format!(
                    "{so_far} the owner `{owner}` runs, says the platform, and has never said so \
                     itself: its process does not beat here, or calls itself by another id; \
                     {NOT_TIMING}."
                ),
                "Look at the machine's log: does it start, does it reach this database, and does \
                 it keep presence (`directory.presence().start(…)`)?",
            ));
        }
        // Whom the platform knows to be there, the proxy cannot reach for another reason.
        PlatformMachine::NotAsked | PlatformMachine::NotAnswered { .. }
            if no_candidate(findings) && presence != Presence::NeverSeen =>
        {
            return Some(unknown_to_the_proxy(&so_far, owner, presence, machine));
        }
        _ => {}
    }
    of_presence(findings, &so_far, owner, machine, served)
}

const NEVER_SEEN: &str = "Look at the orchestrator: it wrote the owner down before the machine was there, and its \
     creation failed or is still under way. Create it, or assign the session to a machine that is \
     alive.";

fn of_presence(
    findings: &Findings,
    so_far: &str,
    owner: &str,
    machine: Option<&SeenMachine>,
    served: bool,
) -> Option<Judgement> {
    match findings.presence() {
        Presence::Lost | Presence::NeverSeen if served => {
            Some(heartbeats_missing(findings, owner, machine))
        }
        Presence::NeverSeen => Some(Judgement::new(
            Cause::OwnerNeverSeen,
            format!(
                "{so_far} the owner `{owner}` was never seen, so the container was not created; \
                 {NOT_TIMING}."
            ),
            NEVER_SEEN,
        )),
        Presence::Lost => Some(Judgement::new(
            Cause::OwnerLost,
            format!(
                "{so_far} the owner `{owner}` {}; {NOT_TIMING}.",
                how_lost(machine)
            ),
            "See whether the machine runs. If not, start it again, or assign the session to \
             another one; machines can also take over what a lost one owned \
             (`OnLostOwner::TakeOver`). If it runs, its heartbeats do not arrive: see its log.",
        )),
        Presence::Draining => Some(Judgement::new(
            Cause::OwnerDraining,
            format!(
                "{so_far} the owner `{owner}` is draining: it gives its sessions up and serves no \
                 new request for long."
            ),
            "Wait until another machine has the session; if it stays so, the drain hangs: look at \
             the machine's log.",
        )),
        _ => None,
    }
}

/// Served by chance: the request reached the owner, and a request that reaches another machine is
/// refused.
fn heartbeats_missing(
    findings: &Findings,
    owner: &str,
    machine: Option<&SeenMachine>,
) -> Judgement {
    let how = match findings.presence() {
        Presence::NeverSeen => "is not in the table of machines".to_owned(),
        _ => how_lost(machine),
    };
    let status = findings.got().map_or(0, |got| got.status);
    Judgement::new(
        Cause::HeartbeatsMissing,
        format!(
            "The row is fine, and the owner `{owner}` {how}, and yet the request was answered \
             {status}: it runs, and its heartbeats do not arrive, so requests that reach other \
             machines are refused; {NOT_TIMING}."
        ),
        "Look at the owner's log: does it keep presence (`directory.presence().start(…)`), and may \
         it write to `ownership_machines` (UPDATE and INSERT, on a primary, without a lock on the \
         table)? If it was declared gone, or has left, and still answers, stop its process.",
    )
}

/// What its row says of an owner that is lost.
pub(super) fn how_lost(machine: Option<&SeenMachine>) -> String {
    match machine {
        Some(SeenMachine {
            gone_seconds_ago: Some(ago),
            ..
        }) => format!("was declared gone {} ago", words::seconds(*ago)),
        Some(SeenMachine {
            left_seconds_ago: Some(ago),
            ..
        }) => format!("has left {} ago", words::seconds(*ago)),
        Some(machine) => format!(
            "is lost: it was last seen {} ago",
            words::seconds(machine.beat_seconds_ago)
        ),
        None => "is lost: it has stopped beating, or has left".to_owned(),
    }
}

/// The proxy says so, whatever the directory took the owner for: a machine that is destroyed with
/// no time to leave is alive there for a while.
fn unknown_to_the_proxy(
    so_far: &str,
    owner: &str,
    presence: Presence,
    machine: Option<&SeenMachine>,
) -> Judgement {
    let seen = machine.map(|machine| words::seconds(machine.beat_seconds_ago));
    let (known, what_happened) = match (presence, seen) {
        (Presence::Alive | Presence::Draining, Some(ago)) => {
            (format!(", although it was seen {ago} ago"), "was destroyed")
        }
        (Presence::Alive | Presence::Draining, None) => (
            ", although the directory takes it for alive".to_owned(),
            "was destroyed",
        ),
        (_, Some(ago)) => (format!(", which was last seen {ago} ago"), "was destroyed"),
        (Presence::Lost, None) => (", which is lost".to_owned(), "was destroyed"),
        (_, None) => (
            String::new(),
            "was destroyed, or the container was not created",
        ),
    };
    Judgement::new(
        Cause::OwnerGone,
        format!(
            "{so_far} the proxy knows no machine `{owner}`{known}: it {what_happened}; \
             {NOT_TIMING}."
        ),
        "Look at the orchestrator, which wrote that owner down; assign the session to a machine \
         that is there.",
    )
}

fn not_running(so_far: &str, owner: &str, word: &str, never_starts: bool) -> Judgement {
    if matches!(
        word,
        "created" | "creating" | "starting" | "launch_failed" | "failed"
    ) {
        return Judgement::new(
            Cause::OwnerNotStarted,
            format!(
                "{so_far} the owner `{owner}` exists and does not run: the platform says \
                 {word:?}; {NOT_TIMING}."
            ),
            "Look at the machine's events on the platform; start it, or assign the session to one \
             that runs.",
        );
    }
    if matches!(word, "destroyed" | "destroying" | "replaced" | "migrated") {
        return Judgement::new(
            Cause::OwnerGone,
            format!(
                "{so_far} the owner `{owner}` is being taken away: the platform says {word:?}; \
                 {NOT_TIMING}."
            ),
            "Assign the session to a machine that is there.",
        );
    }
    let next = if never_starts {
        "Start it; its service has autostart off, so no replay wakes it."
    } else {
        "Start it. A replay wakes a stopped machine unless its service has autostart off, and has \
         to wait for it: see the replay's `timeout`."
    };
    Judgement::new(
        Cause::OwnerStopped,
        format!(
            "{so_far} the owner `{owner}` does not run: the platform says {word:?}; {NOT_TIMING}."
        ),
        next,
    )
}

fn no_candidate(findings: &Findings) -> bool {
    let got = findings.got();
    got.is_some_and(|got| got.code.as_deref() == Some("owner-unreachable"))
        && got.and_then(super::Got::reason) == Some("no_candidate")
}

/// A machine that does run, if it has an id of another form than the owner's.
fn another_form<'a>(findings: &'a Findings, owner: &str) -> Option<&'a str> {
    let alive = findings.answered()?.alive.iter().map(String::as_str);
    let known: Vec<&str> = findings
        .got()
        .and_then(|got| got.machine.as_deref())
        .into_iter()
        .chain(alive)
        .collect();
    if known.iter().any(|id| alike(id, owner)) {
        return None;
    }
    known.first().copied()
}
