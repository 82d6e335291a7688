//! What has to be so of the services that the owner offers to the proxy.

use super::{super::findings::Service, Fine, NOT_FROM_HERE, Point, Problem, Unknown, point};

pub(super) const NEEDS_API: &str = "it takes the Machines API (FLY_API_TOKEN, --app)";

pub(super) fn http_handler(services: Option<&[Service]>, port: Option<u16>) -> Point {
    let Some(services) = services else {
        return point(Unknown, format!("{NOT_FROM_HERE}: {NEEDS_API}"));
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

pub(super) fn target_port(services: Option<&[Service]>, port: Option<u16>) -> Point {
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
        _ => point(Unknown, format!("{NOT_FROM_HERE}: {NEEDS_API}")),
    }
}

pub(super) fn wakes(services: Option<&[Service]>) -> Point {
    let Some(services) = services else {
        return point(Unknown, format!("{NOT_FROM_HERE}: {NEEDS_API}"));
    };
    if services
        .iter()
        .any(|service| service.autostart == Some(false))
    {
        point(Problem, "autostart is off: no replay wakes the owner")
    } else {
        point(Fine, "a replay wakes the owner if it is stopped")
    }
}

/// The port that the client used.
pub(super) fn port(url: &str) -> Option<u16> {
    let uri = http::Uri::try_from(url).ok()?;
    uri.port_u16().or(match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })
}
