//! Lines about the way to owners.

use super::*;

#[allow(clippy::too_many_lines, reason = "a table is as long as it has rows")]
pub(super) fn lines() -> Vec<Line> {
    let unreachable = |reason: &str| Got {
        detail: Some(format!("it could not ({reason}).")),
        ..answered(503, Some("owner-unreachable"))
    };
    let through_fly = |got| Got {
        request_id: Some("01HQ-iad".to_owned()),
        ..got
    };
    vec![
        (
            got(presence(Presence::Alive), unreachable("timeout")),
            Cause::OwnerUnreachable,
            "could not connect to the owner `e2863555a91708` (timeout)",
        ),
        (
            got(
                presence(Presence::Alive),
                answered(409, Some("replay-not-honoured")),
            ),
            Cause::ReplayNotHonoured,
            "because the request did not come through a proxy that does",
        ),
        (
            got(
                presence(Presence::Alive),
                through_fly(answered(409, Some("replay-not-honoured"))),
            ),
            Cause::ReplayNotHonoured,
            "although the answer came through Fly's proxy",
        ),
        (
            got(
                presence(Presence::Alive),
                answered(508, Some("replay-loop")),
            ),
            Cause::ReplayLoop,
            "went round in circles",
        ),
        (
            got(findings(), answered(413, Some("not-replayable"))),
            Cause::NotReplayable,
            "cannot be handed to the owner",
        ),
        (
            got(findings(), answered(410, Some("session-absent"))),
            Cause::SessionAbsent,
            "does not hold the session",
        ),
        (
            got(findings(), answered(403, Some("session-forbidden"))),
            Cause::SessionForbidden,
            "guard",
        ),
        (
            got(findings(), answered(503, Some("session-moving"))),
            Cause::SessionMoving,
            "changing hands",
        ),
        (
            got(findings(), answered(503, Some("lookup-unavailable"))),
            Cause::DatabaseDownThere,
            "was read from here, and `56837ddda10348` could not ask the database",
        ),
        (
            got(findings(), answered(404, Some("session-unknown"))),
            Cause::DirectoryDiffers,
            "and yet `56837ddda10348` answered `session-unknown`",
        ),
        (
            got(findings(), answered(404, None)),
            Cause::ApplicationRefused,
            "`56837ddda10348` answered 404 without an `Ownership-Code`: that is the application's \
             own answer, so either the owner `e2863555a91708` means it, or the layer does not wrap \
             this path",
        ),
        (
            got(
                findings(),
                Got {
                    status: 404,
                    ..served_by(Some(OWNER))
                },
            ),
            Cause::ApplicationRefused,
            "that is the application's own answer, and that is the owner; it is not",
        ),
        (
            got(
                findings(),
                through_fly(Got {
                    empty: true,
                    machine: None,
                    ..answered(502, None)
                }),
            ),
            Cause::ProxyError,
            "the proxy answered 502 by itself",
        ),
        (
            Findings {
                answer: Answer::Failed {
                    url: "https://app.example.com/".to_owned(),
                    why: "connect",
                    error: "connection refused".to_owned(),
                    redirects: Vec::new(),
                },
                ..presence(Presence::Alive)
            },
            Cause::UrlUnreachable,
            "https://app.example.com/ gave no answer: connection refused.",
        ),
        (
            led_nowhere(presence(Presence::Alive)),
            Cause::OwnerUnreachable,
            "https://m1.example.com/, where a redirect says that the owner `e2863555a91708` is, \
             gave no answer: connection refused",
        ),
        (
            got(
                presence(Presence::Alive),
                Got {
                    redirects: vec!["https://m1.example.com/".to_owned(); 4],
                    circular: true,
                    ..answered(307, None)
                },
            ),
            Cause::ReplayLoop,
            "it redirected the request once more, after 4 redirects",
        ),
        (
            got(presence(Presence::Alive), answered(200, None)),
            Cause::WrongMachine,
            "The row is fine and names the owner `e2863555a91708`, and `56837ddda10348` answered \
             200 in its place: the wrong machine serves the session",
        ),
        (
            got(presence(Presence::Lost), answered(200, None)),
            Cause::WrongMachine,
            "answered 200 in its place",
        ),
        (
            got(
                on_the_platform(findings(), known("stopped")),
                answered(200, None),
            ),
            Cause::WrongMachine,
            "answered 200 in its place",
        ),
        (
            got(presence(Presence::Alive), served_by(Some(OWNER))),
            Cause::Fine,
            "its owner is `e2863555a91708`, which is alive, and a request for it was answered 200.",
        ),
        (
            got(presence(Presence::Alive), served_by(None)),
            Cause::Fine,
            "answered 200",
        ),
        // A header that calls machines otherwise than rows do.
        (
            got(presence(Presence::Alive), served_by(Some("web-0"))),
            Cause::Fine,
            "answered 200",
        ),
        (
            got(
                with_row(|row| (row.epoch, row.presence) = (None, Presence::Alive)),
                served_by(Some(OWNER)),
            ),
            Cause::CheckFailed,
            "answered 200, and yet a check found a problem (directory, epoch): NULL.",
        ),
        (
            findings(),
            Cause::Fine,
            "of whose presence nothing is kept, and no request was made",
        ),
        (
            got(
                on_the_platform(findings(), known("stopped")),
                served_by(Some(OWNER)),
            ),
            Cause::Fine,
            "answered 200",
        ),
    ]
}
