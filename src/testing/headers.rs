//! Which headers the edge takes away, and which it adds.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};

use crate::hop_by_hop::{self, join_cookies, takes_trailers, tokens};

pub(super) const REPLAY_SRC: HeaderName = HeaderName::from_static("fly-replay-src");
pub(super) const REPLAY_FAILED: HeaderName = HeaderName::from_static("fly-replay-failed");
pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("fly-replay-cache-status");
pub(super) const PREFERRED_UNAVAILABLE: HeaderName =
    HeaderName::from_static("fly-preferred-instance-unavailable");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("fly-request-id");

/// What only the proxy may say. Whether Fly Proxy removes these from a client's request is not
/// documented.
const FORGEABLE: [&str; 9] = [
    "fly-replay-src",
    "fly-replay-failed",
    "fly-replay-cache-status",
    "fly-preferred-instance-unavailable",
    "fly-dispatch-start",
    "fly-forwarded-proto",
    "fly-request-id",
    "fly-src",
    "fly-src-signature",
];

/// Does the client ask for another protocol? Only HTTP/1.1 has this way of asking.
pub(super) fn asks_for_upgrade(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && headers.contains_key(header::UPGRADE)
        && tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade"))
}

/// Makes a client's headers fit to be sent on.
pub(super) fn clean_request(headers: &mut HeaderMap, upgrade: bool, keep_forged: bool) {
    let trailers = takes_trailers(headers);
    let protocol = headers.get(header::UPGRADE).cloned();
    hop_by_hop::remove_named(headers);
    hop_by_hop::remove(headers);
    if trailers {
        // gRPC servers insist on it; the edge passes trailers, so it may ask for them.
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = protocol.filter(|_| upgrade) {
        hop_by_hop::upgrade_to(headers, protocol);
    }
    // Reading the body makes the edge itself answer `100 Continue`.
    headers.remove(header::EXPECT);
    if !keep_forged {
        for name in FORGEABLE {
            headers.remove(name);
        }
    }
    join_cookies(headers);
}

/// Adds what the proxy always says (Fly docs: Request headers).
pub(super) fn add_facts(
    headers: &mut HeaderMap,
    client: SocketAddr,
    edge: SocketAddr,
    region: &str,
    version: Version,
) {
    let ip = client.ip().to_canonical();
    let port = edge.port().to_string();
    let mut path: Vec<String> = text_values(headers, "x-forwarded-for");
    path.extend([ip.to_string(), edge.ip().to_string()]);
    for (name, value) in [
        ("fly-client-ip", ip.to_string()),
        ("fly-region", region.to_owned()),
        ("fly-forwarded-port", port.clone()),
        ("x-forwarded-for", path.join(", ")),
        ("x-forwarded-port", port),
        ("x-forwarded-proto", "http".into()),
        ("x-forwarded-ssl", "off".into()),
    ] {
        set(headers, HeaderName::from_static(name), &value);
    }
    headers.append(header::VIA, via(version));
}

/// Makes a machine's headers fit for the client.
pub(super) fn clean_response(headers: &mut HeaderMap, status: StatusCode, version: Version) {
    hop_by_hop::clean_response(headers, status);
    headers.append(header::VIA, via(version));
}

/// Sets a header to a text that is known to be printable; what is not is left out rather than
/// guessed at.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    match HeaderValue::from_str(text) {
        Ok(value) => headers.insert(name, value),
        Err(_) => headers.remove(name),
    };
}

/// The text of a header, if it is there and printable.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(if version == Version::HTTP_2 {
        "2 fly.io"
    } else {
        "1.1 fly.io"
    })
}

fn text_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect()
}
