//! Why a proxy may ignore `fly-replay`, point by point, as Fly's public reference gives them
//! ("Dynamic Request Routing", "Error codes and troubleshooting"). A point that cannot be tested
//! from here says so.

use super::{
    check::{
        Check,
        CheckState::{self, Fine, Problem, Unknown},
        Topic,
    },
    facts::{Facts, Got, PlatformMachine, Service},
};
use crate::MachineId;

const NOT_FROM_HERE: &str = "not testable from here";
const NEEDS_API: &str = "not testable from here: it takes the Machines API (FLY_API_TOKEN, --app)";
const NONE_LEFT: &str = "no replay was left over in the answer";

type Point = (CheckState, String);

fn point(state: CheckState, text: impl Into<String>) -> Point {
    (state, text.into())
}

/// The checklist; empty where no request was made, which could have been replayed.
pub(super) fn checklist(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut topic = Topic("fly-replay", &mut checks);
    let Some(got) = facts.got() else {
        return checks;
    };
    let code = got.code.as_deref();
    let of_replays = ["replay-not-honoured", "owner-unreachable", "replay-loop"];
    let is_replayed = got.replay.is_some() || code.is_some_and(|code| of_replays.contains(&code));
    if !got.redirects.is_empty() && !got.came_through_fly() && !is_replayed {
        topic.add(
            "replayed",
            Unknown,
            "nothing was: the answer was reached by a redirect, in which no proxy has a part",
        );
        return checks;
    }
    let services = match &facts.platform.machine {
        PlatformMachine::Known { services, .. } => services.as_deref(),
        _ => None,
    };
    // What keeps a replay from being honoured is no problem where the request was served.
    let needless = |(state, text): Point| {
        if state == Problem && facts.is_served_in_its_place() {
            return (
                Unknown,
                format!("{text}; this request was served all the same"),
            );
        }
        (state, text)
    };
    let url = http::Uri::try_from(&got.url).unwrap_or_default();
    for (name, (state, text)) in [
        ("through the proxy", needless(through_the_proxy(got, &url))),
        ("same host", needless(same_host(got))),
        ("honoured", honoured(facts, got)),
        ("well-formed", well_formed(got, facts.owner())),
        ("http handler", needless(http_handler(services, port(&url)))),
        ("target's port", needless(target_port(services, port(&url)))),
        ("same app", same_app(facts)),
        ("body", body(code)),
        ("fallback", fallback(code, got)),
        ("loops", loops(code)),
        ("wakes", wakes(services)),
        ("regions", regions(facts, got)),
    ] {
        topic.add(name, state, text);
    }
    for (name, why) in [
        (
            "same network",
            "is another app's machine (`fly orgs cross-network-replays`)",
        ),
        (
            "same organisation",
            "belongs to another one's app (`fly orgs replay-sources`)",
        ),
    ] {
        let text = format!("{NOT_FROM_HERE}: matters only where the owner {why}");
        topic.add(name, Unknown, text);
    }
    checks
}

fn through_the_proxy(got: &Got, url: &http::Uri) -> Point {
    let host = url.host().unwrap_or_default();
    if host.ends_with(".internal") {
        return point(
            Problem,
            format!("{host} leads straight to machines, past the proxy"),
        );
    }
    if got.came_through_fly() {
        let edge = got.edge().map(|edge| format!(", at its edge {edge}"));
        let edge = edge.unwrap_or_default();
        return point(Fine, format!("the answer came through Fly's proxy{edge}"));
    }
    let other = got.server.as_ref().map(|is| format!("; `server: {is}`"));
    let other = other.unwrap_or_default();
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
    let (host, app) = (&addresses.host, &addresses.app);
    let shared = |address| addresses.of_the_app.contains(address);
    if addresses.of_the_host.iter().any(shared) {
        point(Fine, format!("{host} resolves to {app}'s addresses"))
    } else {
        point(
            Problem,
            format!("{host} resolves elsewhere than {app}: something else is in front"),
        )
    }
}

fn honoured(facts: &Facts, got: &Got) -> Point {
    // As far as is known, if it was served.
    let is_by_the_owner = facts.is_served_in_its_place()
        || got.machine.is_some() && got.machine.as_deref() == facts.owner();
    match (got.code.as_deref(), &got.replay) {
        (Some("replay-not-honoured"), _) => point(
            Problem,
            "the client reads our own `replay-not-honoured`: no proxy acted on the header",
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
        (None, None) if is_by_the_owner => point(Fine, NONE_LEFT),
        (None, None) => point(
            Unknown,
            format!("{NOT_FROM_HERE}: nothing says that the layer saw this request"),
        ),
    }
}

fn well_formed(got: &Got, owner: Option<&str>) -> Point {
    let Some(replay) = got.replay.as_deref() else {
        return point(
            Unknown,
            format!("{NOT_FROM_HERE}: no client sees a replay that is acted on"),
        );
    };
    let fields = replay.split(';').filter_map(|field| field.split_once('='));
    let instance = { fields }.find(|(name, _)| *name == "instance");
    match instance {
        None => point(Problem, format!("`{replay}` names no `instance` (PA03)")),
        Some((_, id)) if MachineId::parse(id).is_err() => {
            point(Problem, format!("`{id}` is no machine id (PA03)"))
        }
        Some((_, id)) if owner.is_some_and(|owner| owner != id) => point(
            Problem,
            format!("it leads to `{id}`, and not to the row's owner"),
        ),
        Some(_) => point(Fine, format!("`{replay}`")),
    }
}

fn http_handler(services: Option<&[Service]>, port: Option<u16>) -> Point {
    let Some(services) = services else {
        return point(Unknown, NEEDS_API);
    };
    let mut of_port = services.iter().filter(|s| port.is_none() || s.port == port);
    if of_port.any(|service| service.handlers.iter().any(|handler| handler == "http")) {
        point(Fine, "the owner's service has the `http` handler")
    } else {
        point(
            Problem,
            "no service of the owner's with the `http` handler: with raw TCP or TLS alone, \
             answers pass through untouched",
        )
    }
}

fn target_port(services: Option<&[Service]>, port: Option<u16>) -> Point {
    match (services, port) {
        (Some([]), _) => point(
            Problem,
            "the owner has no service, so nothing can be replayed to it",
        ),
        (Some(services), Some(port)) if services.iter().any(|s| s.port == Some(port)) => {
            point(Fine, format!("the owner has a service on port {port}"))
        }
        (Some(_), Some(port)) => point(
            Problem,
            format!("the owner has no service on port {port}, which the request came to"),
        ),
        _ => point(Unknown, NEEDS_API),
    }
}

fn same_app(facts: &Facts) -> Point {
    let app = facts.platform.app.as_deref().unwrap_or("the app");
    match facts.platform.machine {
        PlatformMachine::Gone => point(
            Problem,
            format!("the owner is no machine of {app}; of another app, the replay must name it"),
        ),
        PlatformMachine::Known { .. } => point(Fine, format!("the owner is a machine of {app}")),
        PlatformMachine::NotAsked | PlatformMachine::NotAnswered { .. } => {
            point(Unknown, NEEDS_API)
        }
    }
}

fn body(code: Option<&str>) -> Point {
    match code {
        Some("not-replayable") => point(Problem, "this request cannot be carried, says the layer"),
        _ => point(
            Fine,
            "this request has none; bodies over 1 MB cannot be replayed",
        ),
    }
}

fn fallback(code: Option<&str>, got: &Got) -> Point {
    let why = got.reason().map(|reason| format!(" ({reason})"));
    let why = why.unwrap_or_default();
    match code {
        Some("owner-unreachable") => point(
            Problem,
            format!("it was used{why}: a request that came back is not replayed again"),
        ),
        _ => point(Fine, "not used, as far as the answer tells"),
    }
}

fn loops(code: Option<&str>) -> Point {
    match code {
        Some("replay-loop") => point(Problem, "the request used up its replays"),
        _ => point(Fine, "none; the proxy allows ten replays of a request"),
    }
}

fn wakes(services: Option<&[Service]>) -> Point {
    match services {
        None => point(Unknown, NEEDS_API),
        Some(services) if services.iter().any(|one| one.autostart == Some(false)) => {
            point(Problem, "autostart is off: no replay wakes the owner")
        }
        Some(_) => point(Fine, "a replay wakes the owner if it is stopped"),
    }
}

fn regions(facts: &Facts, got: &Got) -> Point {
    let known = match &facts.platform.machine {
        PlatformMachine::Known { region, .. } => region.as_deref(),
        _ => None,
    };
    let row = facts
        .answered()
        .and_then(|answered| answered.machine.as_ref());
    let owner = known.or_else(|| row?.region.as_deref());
    match (got.edge(), owner) {
        (Some(edge), Some(owner)) => point(
            Fine,
            format!("from the edge {edge} to the owner in {owner}; the replay names no region"),
        ),
        _ => point(
            Unknown,
            format!("{NOT_FROM_HERE}: the owner's region is not known"),
        ),
    }
}

/// The port that the client used.
fn port(url: &http::Uri) -> Option<u16> {
    url.port_u16().or(match url.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })
}
