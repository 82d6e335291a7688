//! Fields that end with a connection (RFC 9110, section 7.6.1), for what carries requests on.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// Whether the field is one of the RFC, of what it replaced, or of upgrades to HTTP/2 (RFC 7540, section
/// 3.2.1).
fn ends_with_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Removes the fields that end with a connection, but not those that only `Connection` says so of. Returns
/// whether the peer [takes trailers](takes_trailers).
pub(crate) fn remove(headers: &mut HeaderMap) -> bool {
    let mut trailers = false;
    // Most heads have one of them or none: to look for all nine takes ten times as long as to read the
    // names that are there.
    while let Some(name) = headers.keys().find(|name| ends_with_connection(name)) {
        let name = name.clone();
        if name == header::TE {
            trailers = takes_trailers(headers);
        } else if name == header::TRANSFER_ENCODING {
            // The body was read by it, and a length that contradicts it would frame what is sent on
            // (RFC 9112, section 6.3).
            headers.remove(header::CONTENT_LENGTH);
        }
        headers.remove(name);
    }
    trailers
}

/// Removes the fields that `Connection` names.
pub(crate) fn remove_named(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &header::CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Removes the fields of a response that end with its connection.
pub(crate) fn clean_response(headers: &mut HeaderMap, status: StatusCode) {
    if !headers.keys().any(ends_with_connection) {
        return;
    }
    // The one has switched to the protocols that it names, the other asks for them.
    let names_protocols = [
        StatusCode::SWITCHING_PROTOCOLS,
        StatusCode::UPGRADE_REQUIRED,
    ]
    .contains(&status);
    let protocols = headers.get(header::UPGRADE).filter(|_| names_protocols);
    let protocols = protocols.cloned();
    remove_named(headers);
    remove(headers);
    if let Some(protocols) = protocols {
        upgrade_to(headers, protocols);
    }
}

/// Names the protocols again that the removed fields named.
pub(crate) fn upgrade_to(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.insert(header::UPGRADE, protocols);
    headers.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Whether the peer understands trailers. It says so for one hop.
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// Makes one `Cookie` line of many, which only HTTP/2 may have (RFC 9113, section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::COOKIE).iter();
    let (Some(_), Some(_)) = (lines.next(), lines.next()) else {
        return;
    };
    let lines = headers.get_all(header::COOKIE).iter();
    let lines: Vec<&[u8]> = lines.map(HeaderValue::as_bytes).collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
        headers.insert(header::COOKIE, cookie);
    }
}

/// The members of a list, of all its lines.
pub(crate) fn tokens<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let lines = headers.get_all(name).iter();
    let tokens = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    tokens.map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    const HEAD: [(&str, &str); 13] = [
        ("connection", "keep-alive, X-Hop"),
        ("connection", "Host, x-other"),
        ("x-hop", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers, deflate"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("upgrade", "websocket"),
        ("http2-settings", "AAMAAABk"),
        ("x-forwarded-for", "192.0.2.1"),
        ("trailer", "grpc-status"),
    ];

    #[test]
    fn a_request_cannot_name_fields_to_be_removed() {
        let mut head = headers(&HEAD);
        assert!(takes_trailers(&head));
        remove(&mut head);
        let kept = ["trailer", "x-forwarded-for", "x-hop", "x-other"];
        assert_eq!(names(&head), kept);
    }

    #[test]
    fn a_response_names_the_fields_that_end_with_its_connection() {
        let mut head = headers(&HEAD);
        clean_response(&mut head, StatusCode::OK);
        assert_eq!(names(&head), ["trailer", "x-forwarded-for"]);
    }

    #[test]
    fn a_response_about_protocols_keeps_their_names() {
        for status in [
            StatusCode::SWITCHING_PROTOCOLS,
            StatusCode::UPGRADE_REQUIRED,
        ] {
            let mut head = headers(&HEAD);
            clean_response(&mut head, status);
            assert_eq!(head[header::UPGRADE], "websocket");
            assert_eq!(head[header::CONNECTION], "upgrade");
        }
    }
}
