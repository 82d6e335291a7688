//! Why a proxy may ignore `fly-replay`, point by point, as Fly's public reference gives them
//! ("Dynamic Request Routing", "Error codes and troubleshooting"). What cannot be tested from here
//! says so.

use super::{
    check::{
        Check,
        CheckState::{self, Fine, Problem, Unknown},
    },
    findings::{Findings, Got, PlatformMachine},
};
use crate::MachineId;

mod services;

use services::{NEEDS_API, http_handler, port, target_port, wakes};

const TOPIC: &str = "fly-replay";
const NOT_FROM_HERE: &str = "not testable from here";

/// Codes that tell that a replay was asked for.
const OF_REPLAYS: [&str; 3] = ["replay-not-honoured", "owner-unreachable", "replay-loop"];

/// The checklist; empty where no request was made, which could have been replayed.
pub(super) fn checklist(findings: &Findings) -> Vec<Check> {
    let Some(got) = findings.got() else {
        return Vec::new();
    };
    if is_only_redirected(got) {
        return vec![Check::new(
            TOPIC,
            "replayed",
            Unknown,
            "nothing was: the answer was reached by a redirect, in which no proxy has a part",
        )];
    }
    let services = match &findings.platform.machine {
        PlatformMachine::Known { services, .. } => services.as_deref(),
        _ => None,
    };
    let port = port(&got.url);
    [
        (
            "through the proxy",
            needless(findings, through_the_proxy(got)),
        ),
        ("same host", needless(findings, same_host(got))),
        ("honoured", honoured(findings, got)),
        ("well-formed", well_formed(got, findings.owner())),
        (
            "http handler",
            needless(findings, http_handler(services, port)),
        ),
        (
            "target's port",
            needless(findings, target_port(services, port)),
        ),
        ("same app", same_app(findings)),
        (
            "same network",
            (
                Unknown,
                format!(
                    "{NOT_FROM_HERE}: matters only where the owner is another app's machine (`fly \
                     orgs cross-network-replays`)"
                ),
            ),
        ),
        ("body", body(got)),
        ("fallback", fallback(got)),
        ("loops", loops(got)),
        ("wakes", wakes(services)),
        ("regions", regions(findings, got)),
    ]
    .into_iter()
    .map(|(name, (state, text))| Check::new(TOPIC, name, state, text))
    .collect()
}

type Point = (CheckState, String);

/// What keeps a replay from being honoured is no problem where the request was served.
fn needless(findings: &Findings, (state, text): Point) -> Point {
    if state == Problem && findings.is_served_in_its_place() {
        return (
            Unknown,
            format!("{text}; this request was served all the same"),
        );
    }
    (state, text)
}

fn point(state: CheckState, text: impl Into<String>) -> Point {
    (state, text.into())
}

/// Whether a redirect led to the answer, and nothing tells of a proxy or a replay.
fn is_only_redirected(got: &Got) -> bool {
    let code = got.code.as_deref();
    let is_replayed = got.replay.is_some() || code.is_some_and(|code| OF_REPLAYS.contains(&code));
    !got.redirects.is_empty() && !got.came_through_fly() && !is_replayed
}

fn through_the_proxy(got: &Got) -> Point {
    let host = http::Uri::try_from(&got.url).ok();
    let host = host.as_ref().and_then(http::Uri::host).unwrap_or_default();
    if host.ends_with(".internal") {
        return point(
            Problem,
            format!("{host} leads straight to machines, past the proxy"),
        );
    }
    if got.came_through_fly() {
        let region = got
            .request_id
            .as_deref()
            .and_then(|id| id.rsplit_once('-'))
            .map_or_else(String::new, |(_, region)| format!(", at its edge {region}"));
        return point(Fine, format!("the answer came through Fly's proxy{region}"));
    }
    let other = got
        .server
        .as_deref()
        .map_or_else(String::new, |server| format!("; `server: {server}`"));
    point(
        Problem,
        format!("no `fly-request-id`, `via: fly.io` or `server: Fly` in the answer{other}"),
    )
}

fn same_host(got: &Got) -> Point {
    let Some(addresses) = &got.addresses else {
        return point(
            Unknown,
            format!("{NOT_FROM_HERE}: it takes --app and public DNS"),
        );
    };
    let shared = |address| addresses.of_the_app.contains(address);
    if addresses.of_the_host.iter().any(shared) {
        point(
            Fine,
            format!(
                "{} resolves to {}'s addresses",
                addresses.host, addresses.app
            ),
        )
    } else {
        point(
            Problem,
            format!(
                "{} resolves elsewhere than {}: something else is in front",
                addresses.host, addresses.app
            ),
        )
    }
}

fn honoured(findings: &Findings, got: &Got) -> Point {
    match (got.code.as_deref(), &got.replay) {
        (Some("replay-not-honoured"), _) => point(
            Problem,
            "the client reads our own `replay-not-honoured`: nobody acted on the header",
        ),
        (_, Some(_)) => point(Problem, "the client reads the `fly-replay` header itself"),
        (Some("owner-unreachable" | "replay-loop"), None) => point(
            Fine,
            "the proxy acted on the header, says the machine that got the request back",
        ),
        // The owner's own answers, to a replay if it took one to get there.
        (Some("session-moving" | "session-absent" | "duplicate-identity"), None) => {
            point(Fine, NONE_LEFT)
        }
        (Some(code), None) => point(
            Unknown,
            format!("{NOT_FROM_HERE}: `{code}` is decided before any replay"),
        ),
        (None, None) if !got.redirects.is_empty() => point(
            Unknown,
            format!("{NOT_FROM_HERE}: a redirect led here, and perhaps no replay"),
        ),
        (None, None) if is_by_the_owner(findings, got) => point(Fine, NONE_LEFT),
        (None, None) => point(
            Unknown,
            format!("{NOT_FROM_HERE}: nothing says that the layer saw this request"),
        ),
    }
}

const NONE_LEFT: &str = "no replay was left over in the answer";

/// As far as is known, if it was served.
fn is_by_the_owner(findings: &Findings, got: &Got) -> bool {
    findings.is_served_in_its_place()
        || got.machine.is_some() && got.machine.as_deref() == findings.owner()
}

fn well_formed(got: &Got, owner: Option<&str>) -> Point {
    let Some(replay) = got.replay.as_deref() else {
        return point(
            Unknown,
            format!("{NOT_FROM_HERE}: no client sees a replay that is acted on"),
        );
    };
    let instance = replay
        .split(';')
        .filter_map(|field| field.split_once('='))
        .find(|(name, _)| *name == "instance")
        .map(|(_, value)| value);
    match instance {
        None => point(Problem, format!("`{replay}` names no `instance` (PA03)")),
        Some(id) if MachineId::parse(id).is_err() => {
            point(Problem, format!("`{id}` is no machine id (PA03)"))
        }
        Some(id) if owner.is_some_and(|owner| owner != id) => point(
            Problem,
            format!("it leads to `{id}`, and not to the row's owner"),
        ),
        Some(_) => point(Fine, format!("`{replay}`")),
    }
}

fn same_app(findings: &Findings) -> Point {
    let app = findings.platform.app.as_deref().unwrap_or("the app");
    match findings.platform.machine {
        PlatformMachine::Gone => point(
            Problem,
            format!("the owner is no machine of {app}; of another app, the replay must name it"),
        ),
        PlatformMachine::Known { .. } => point(Fine, format!("the owner is a machine of {app}")),
        PlatformMachine::NotAsked | PlatformMachine::NotAnswered { .. } => {
            point(Unknown, format!("{NOT_FROM_HERE}: {NEEDS_API}"))
        }
    }
}

fn body(got: &Got) -> Point {
    if got.code.as_deref() == Some("not-replayable") {
        return point(Problem, "this request cannot be carried, says the layer");
    }
    point(
        Fine,
        "this request has none; bodies over 1 MB cannot be replayed",
    )
}

fn fallback(got: &Got) -> Point {
    match got.code.as_deref() {
        Some("owner-unreachable") => point(
            Problem,
            format!(
                "it was used{}: a request that came back is not replayed again",
                got.reason()
                    .map_or_else(String::new, |reason| format!(" ({reason})"))
            ),
        ),
        _ => point(Fine, "not used, as far as the answer tells"),
    }
}

fn loops(got: &Got) -> Point {
    match got.code.as_deref() {
        Some("replay-loop") => point(Problem, "the request used up its replays"),
        _ => point(Fine, "none; the proxy allows ten replays of a request"),
    }
}

fn regions(findings: &Findings, got: &Got) -> Point {
    let edge = got.request_id.as_deref().and_then(|id| id.rsplit_once('-'));
    let owner = match &findings.platform.machine {
        PlatformMachine::Known { region, .. } => region.as_deref(),
        _ => None,
    };
    let owner = owner.or_else(|| {
        let machine = findings.answered()?.machine.as_ref()?;
        machine.region.as_deref()
    });
    match (edge, owner) {
        (Some((_, edge)), Some(owner)) => point(
            Fine,
            format!("from the edge {edge} to the owner in {owner}; the replay names no region"),
        ),
        _ => point(
            Unknown,
            format!("{NOT_FROM_HERE}: the owner's region is not known"),
        ),
    }
}
