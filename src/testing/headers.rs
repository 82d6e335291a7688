//! Which headers the edge takes away, and which it adds.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

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

/// RFC 9110 section 7.6.1, and what older software treats alike.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Does the client ask for another protocol? Only HTTP/1.1 has this way of asking.
pub(super) fn asks_for_upgrade(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && headers.contains_key(header::UPGRADE)
        && tokens(headers, &header::CONNECTION).any(|token| token == "upgrade")
}

/// Makes a client's headers fit to be sent on.
pub(super) fn clean_request(headers: &mut HeaderMap, upgrade: bool, keep_forged: bool) {
    let trailers = tokens(headers, &header::TE).any(|token| token == "trailers");
    let protocol = headers.get(header::UPGRADE).cloned();
    strip_hop_by_hop(headers);
    if trailers {
        // gRPC servers insist on it; the edge passes trailers, so it may ask for them.
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = protocol.filter(|_| upgrade) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
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

/// Makes a machine's headers fit for the client. An answer of 101 keeps the names of its protocol.
pub(super) fn clean_response(headers: &mut HeaderMap, upgraded: bool, version: Version) {
    let protocol = headers.get(header::UPGRADE).cloned();
    strip_hop_by_hop(headers);
    if let Some(protocol) = protocol.filter(|_| upgraded) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
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

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<_> = tokens(headers, &header::CONNECTION).collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// HTTP/2 clients may split the cookie header; HTTP/1.1 servers need it whole (RFC 9113 section
/// 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().count() < 2 {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, cookie);
    }
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

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|token| token.trim().to_ascii_lowercase())
}
