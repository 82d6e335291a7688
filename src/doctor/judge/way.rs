//! What is wrong on the way to an owner with whom nothing is known to be wrong.

use super::{Got, Judgement, words};
use crate::doctor::{
    cause::Cause,
    findings::{Answer, Findings},
};

pub(super) fn judge(findings: &Findings, owner: &str, found: &mut Vec<Judgement>) {
    match &findings.answer {
        Answer::NotAsked => {}
        Answer::Failed {
            url,
            error,
            redirects,
            ..
        } if !redirects.is_empty() => {
            // What the owner's row or the platform says of it is more precise.
            if found.is_empty() {
                found.push(not_at_its_address(url, error, owner));
            }
        }
        Answer::Failed { url, error, .. } => found.push(Judgement::new(
            Cause::UrlUnreachable,
            format!("The row is fine, and {url} gave no answer: {error}."),
            "Check the URL, its DNS entry and certificate, and that the service runs at all.",
        )),
        Answer::Got(got) => {
            if let Some(machine) = findings.served_elsewhere() {
                // Graver than whatever keeps the owner from serving.
                found.insert(0, wrong_machine(machine, got, owner));
            }
            found.extend(of_answer(findings, got, owner, !found.is_empty()));
        }
    }
}

fn not_at_its_address(url: &str, error: &str, owner: &str) -> Judgement {
    Judgement::new(
        Cause::OwnerUnreachable,
        format!(
            "The row is fine, and {url}, where a redirect says that the owner `{owner}` is, gave \
             no answer: {error}; it is not a database timing problem."
        ),
        "Check that the owner runs and listens, and that this address (of the redirect's template, \
         or of the session's row) leads to it from where clients are.",
    )
}

fn wrong_machine(machine: &str, got: &Got, owner: &str) -> Judgement {
    Judgement::new(
        Cause::WrongMachine,
        format!(
            "The row is fine and names the owner `{owner}`, and `{machine}` answered {} in its \
             place: the wrong machine serves the session; it is not a database timing problem.",
            got.status
        ),
        format!(
            "Check that on `{machine}` the layer is in front of the service, on this path, too, \
             and that its extractor finds the session where this request carries it."
        ),
    )
}

fn of_answer(
    findings: &Findings,
    got: &Got,
    owner: &str,
    owner_is_to_blame: bool,
) -> Option<Judgement> {
    let so_far = words::so_far(findings);
    if got.circular {
        return Some(Judgement::new(
            Cause::ReplayLoop,
            format!(
                "{so_far} it redirected the request once more, after {} redirects that did not \
                 come to the owner `{owner}`: two machines disagree on who that is, or on where.",
                got.redirects.len()
            ),
            "Check that all machines read this same database (and its primary, not a replica that \
             lags), and that the owner's address leads to the owner.",
        ));
    }
    let Some(code) = got.code.as_deref() else {
        return if got.status < 400 || owner_is_to_blame {
            None
        } else {
            Some(without_a_code(got, owner))
        };
    };
    let (cause, sentence, next) = match code {
        "replay-not-honoured" => not_honoured(got, &so_far, owner),
        "replay-loop" => (
            Cause::ReplayLoop,
            format!(
                "{so_far} the request went round in circles without coming to the owner `{owner}`: \
                 two machines, or the proxy, disagree on who that is."
            ),
            "Check that all machines read this same database (and its primary, not a replica that \
             lags), and that each knows itself by the id that is stored.",
        ),
        // What the owner's row or the platform says of it is more precise.
        "owner-unreachable" | "owner-lost" | "owner-never-seen" | "duplicate-identity"
            if owner_is_to_blame =>
        {
            return None;
        }
        "owner-unreachable" => (
            Cause::OwnerUnreachable,
            format!(
                "{so_far} the proxy could not connect to the owner `{owner}`{}; it is not a \
                 database timing problem.",
                got.reason()
                    .map_or_else(String::new, |reason| format!(" ({reason})"))
            ),
            "Check that the owner listens where its service says (0.0.0.0, and the internal \
             port), and that it runs; for `timeout`, that the replay's timeout is longer than a \
             start takes.",
        ),
        "not-replayable" => (
            Cause::NotReplayable,
            format!("{so_far} such a request cannot be handed to the owner `{owner}`."),
            "See the detail of the answer: a body over 1 MB, one of unknown length, or an upgrade \
             that a redirect cannot carry.",
        ),
        "session-absent" => (
            Cause::SessionAbsent,
            format!(
                "{so_far} the owner `{owner}` runs and does not hold the session: it lost it, as \
                 happens with a restart."
            ),
            "Start another session, and have whoever restarts machines end what they held.",
        ),
        "session-forbidden" => (
            Cause::SessionForbidden,
            "The row is fine, and the application's guard does not let this request near the \
             session."
                .to_owned(),
            "Send what the guard asks for; the doctor sends no credentials.",
        ),
        "lookup-unavailable" => (
            Cause::DatabaseDownThere,
            format!(
                "The row is fine and was read from here, {} could not ask the database.",
                words_for_machine(got)
            ),
            "Look at that machine's log: its DATABASE_URL, its network, its pool, and how slow the \
             database is from there.",
        ),
        "session-starting" | "session-moving" => (
            Cause::SessionMoving,
            format!("{so_far} it answered `{code}`: the session is just changing hands."),
            "Ask again in a few seconds; if it stays so, look at who writes the owner again and \
             again.",
        ),
        "session-unknown" | "session-over" | "session-malformed" | "directory-corrupt" => (
            Cause::DirectoryDiffers,
            format!(
                "The row is fine, and yet {} answered `{code}`: it reads another database, \
                 another table, or a replica that lags.",
                words_for_machine(got).trim_start_matches("and ")
            ),
            "Compare the DATABASE_URL and the table of the machines with the ones given here.",
        ),
        other => (
            Cause::OwnerUnreachable,
            format!("{so_far} it answered `{other}`."),
            "See the documentation of that code.",
        ),
    };
    Some(Judgement::new(cause, sentence, next))
}

fn not_honoured(got: &Got, so_far: &str, owner: &str) -> (Cause, String, &'static str) {
    let (why, next) = if got.came_through_fly() {
        (
            "although the answer came through Fly's proxy",
            "Go through the checklist above: the service needs the `http` handler, and the owner a \
             service on the same port; a proxy of your own between Fly's and the machine may also \
             swallow the header.",
        )
    } else {
        (
            "because the request did not come through a proxy that does",
            "Send requests through Fly's proxy (the app's public name or its .flycast address, not \
             .internal), or use `Redirect` where no proxy replays.",
        )
    };
    let sentence = format!(
        "{so_far} it asked for a replay to the owner `{owner}`, which no proxy honoured, {why}."
    );
    (Cause::ReplayNotHonoured, sentence, next)
}

fn words_for_machine(got: &Got) -> String {
    match &got.machine {
        Some(machine) => format!("and `{machine}`"),
        None => "and a machine that did not say its name".to_owned(),
    }
}

/// An error that the layer did not write.
fn without_a_code(got: &Got, owner: &str) -> Judgement {
    let (status, by) = (got.status, words_for_machine(got));
    if got.status >= 502 && got.empty && got.came_through_fly() {
        return Judgement::new(
            Cause::ProxyError,
            format!(
                "The row is fine, and the proxy answered {status} by itself, with nothing in it: it \
                 found no machine to serve the request, or could not replay it to `{owner}` and \
                 had no fallback."
            ),
            "Look for the proxy's error code in the app's log (`fly logs`): PR02 no such machine, \
             PC01 nothing listens, PM03 it did not wake, PA01 the body is too large.",
        );
    }
    let who_means_it = if got.machine.as_deref() == Some(owner) {
        "and that is the owner".to_owned()
    } else {
        format!(
            "so either the owner `{owner}` means it, or the layer does not wrap this path and the \
             wrong machine answered"
        )
    };
    Judgement::new(
        Cause::ApplicationRefused,
        format!(
            "The row is fine, {by} answered {status} without an `Ownership-Code`: that is the \
             application's own answer, {who_means_it}; it is not a database timing problem."
        ),
        "Check that the layer is outside of the route (and of whatever strips the path's prefix), \
         and that its extractor finds the session in this URL; then ask the application.",
    )
}
