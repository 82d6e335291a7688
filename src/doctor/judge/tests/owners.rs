//! Lines about owners.

use super::*;

#[allow(clippy::too_many_lines, reason = "a table is as long as it has rows")]
pub(super) fn lines() -> Vec<Line> {
    let never_seen = || presence(Presence::NeverSeen);
    let unreachable = |reason: &str| Got {
        detail: Some(format!("it could not ({reason}).")),
        ..answered(503, Some("owner-unreachable"))
    };
    vec![
        (
            got(never_seen(), answered(503, Some("owner-never-seen"))),
            Cause::OwnerNeverSeen,
            "The row is fine, the request was handled by `56837ddda10348`, and the owner \
             `e2863555a91708` was never seen, so the container was not created; it is not a \
             database timing problem.",
        ),
        (
            on_the_platform(presence(Presence::Lost), known("stopped")),
            Cause::OwnerStopped,
            "the owner `e2863555a91708` does not run: the platform says \"stopped\"",
        ),
        (
            on_the_platform(findings(), known("created")),
            Cause::OwnerNotStarted,
            "exists and does not run: the platform says \"created\"",
        ),
        (
            on_the_platform(findings(), known("destroying")),
            Cause::OwnerGone,
            "is being taken away",
        ),
        (
            on_the_platform(findings(), PlatformMachine::Gone),
            Cause::OwnerGone,
            "is no machine of the app: it was destroyed, or never created",
        ),
        (
            on_the_platform(
                with_answered(|answered| answered.machine = Some(beaten(|_| ()))),
                PlatformMachine::Gone,
            ),
            Cause::OwnerGone,
            "was last seen 3m 20s ago, and is no machine of the app",
        ),
        (
            on_the_platform(never_seen(), PlatformMachine::Gone),
            Cause::OwnerNeverSeen,
            "was never seen, and the platform knows no such machine, so the container was not \
             created",
        ),
        (
            on_the_platform(never_seen(), known("started")),
            Cause::OwnerNeverSeen,
            "runs, says the platform, and has never said so itself",
        ),
        (
            got(findings(), unreachable("no_candidate")),
            Cause::OwnerGone,
            "the proxy knows no machine `e2863555a91708`: it was destroyed, or the container was \
             not created; it is not",
        ),
        (
            got(
                with_answered(|answered| {
                    answered.row.as_mut().unwrap().presence = Presence::Alive;
                    answered.machine = Some(beaten(|machine| machine.beat_seconds_ago = 2.0));
                }),
                unreachable("no_candidate"),
            ),
            Cause::OwnerGone,
            "the proxy knows no machine `e2863555a91708`, although it was seen 2s ago: it was \
             destroyed; it is not a database timing problem.",
        ),
        (
            got(presence(Presence::Alive), unreachable("no_candidate")),
            Cause::OwnerGone,
            "although the directory takes it for alive: it was destroyed",
        ),
        (
            got(
                with_answered(|answered| {
                    answered.row.as_mut().unwrap().presence = Presence::Lost;
                    answered.machine = Some(beaten(|_| ()));
                }),
                unreachable("no_candidate"),
            ),
            Cause::OwnerGone,
            "the proxy knows no machine `e2863555a91708`, which was last seen 3m 20s ago",
        ),
        (
            got(never_seen(), unreachable("no_candidate")),
            Cause::OwnerNeverSeen,
            "was never seen",
        ),
        (
            on_the_platform(
                got(presence(Presence::Alive), unreachable("no_candidate")),
                known("started"),
            ),
            Cause::OwnerUnreachable,
            "(no_candidate)",
        ),
        (
            with_answered(|answered| {
                answered.row.as_mut().unwrap().presence = Presence::Lost;
                answered.machine = Some(beaten(|_| ()));
            }),
            Cause::OwnerLost,
            "is lost: it was last seen 3m 20s ago",
        ),
        (
            with_answered(|answered| {
                answered.row.as_mut().unwrap().presence = Presence::Lost;
                answered.machine = Some(beaten(|machine| machine.left_seconds_ago = Some(61.0)));
            }),
            Cause::OwnerLost,
            "has left 1m 1s ago",
        ),
        (
            got(
                with_answered(|answered| {
                    answered.row.as_mut().unwrap().presence = Presence::Lost;
                    answered.machine = Some(beaten(|_| ()));
                }),
                served_by(Some(OWNER)),
            ),
            Cause::HeartbeatsMissing,
            "is lost: it was last seen 3m 20s ago, and yet the request was answered 200: it runs, \
             and its heartbeats do not arrive",
        ),
        (
            got(presence(Presence::Lost), served_by(None)),
            Cause::HeartbeatsMissing,
            "its heartbeats do not arrive",
        ),
        (
            got(never_seen(), served_by(Some(OWNER))),
            Cause::HeartbeatsMissing,
            "is not in the table of machines, and yet the request was answered 200",
        ),
        (
            with_row(|row| {
                (row.meaning, row.presence) = (Meaning::Starting, Presence::Lost);
                row.status = Some("creating".to_owned());
            }),
            Cause::OwnerLost,
            "still being created, says its status (\"creating\"), and the owner",
        ),
        (
            presence(Presence::Draining),
            Cause::OwnerDraining,
            "is draining",
        ),
        (
            with_answered(|answered| {
                answered.row.as_mut().unwrap().presence = Presence::Alive;
                answered.machine = Some(beaten(|machine| machine.rival_seconds_ago = Some(2.0)));
            }),
            Cause::DuplicateIdentity,
            "Two processes say that they are `e2863555a91708`",
        ),
        (
            got(findings(), answered(503, Some("duplicate-identity"))),
            Cause::DuplicateIdentity,
            "Two processes",
        ),
        (
            with_answered(|answered| {
                let row = answered.row.as_mut().unwrap();
                row.owner = Some("preview-web-0".to_owned());
                row.presence = Presence::NeverSeen;
            }),
            Cause::IdentityMismatch,
            "its owner is `preview-web-0`, while machines are called like `56837ddda10348`",
        ),
    ]
}
