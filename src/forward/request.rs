//! The request as the owner gets it.

use http::{
    Extensions, HeaderMap, HeaderValue, Request, Uri, Version, header,
    request::Parts,
    uri::{Authority, InvalidUri, PathAndQuery, Scheme},
};
use http_body::Body as _;
use hyper::ext::Protocol;

use super::{fields, target::Target, upload::Upload};
use crate::{
    Head,
    hop_by_hop::{self, tokens},
};

/// What the owner is asked to switch to. Not to HTTP/2 without TLS: its frames would be requests that
/// no layer has judged, and what offers only that is content with HTTP/1.1 (RFC 9113, section 3.1).
pub(super) fn protocols(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocols: Vec<&[u8]> = tokens(headers, &header::UPGRADE)
        .filter(|protocol| !protocol.is_empty() && !protocol.eq_ignore_ascii_case(b"h2c"))
        .collect();
    let text = protocols.join(&b", "[..]);
    (!text.is_empty())
        .then(|| HeaderValue::from_bytes(&text).ok())
        .flatten()
}

/// The host that the request is for; `None` if its `Host` says so already.
pub(super) fn host(head: &Parts, target: &Target) -> Result<Option<Authority>, InvalidUri> {
    let named = match (head.uri.authority(), head.headers.get(header::HOST)) {
        // A target in absolute form decides (RFC 9112, section 3.2.2).
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Some(_)) if !target.http2 => return Ok(None),
        (None, Some(host)) => host.as_bytes(),
        (None, None) => b"",
    };
    // User and password are no part of it (RFC 9110, section 4.2.4).
    let host = named.rsplit(|&byte| byte == b'@').next();
    match host.filter(|host| !host.is_empty()) {
        Some(host) => Authority::try_from(host).map(Some),
        None => target.authority().map(Some),
    }
}

/// Says how long the body is, by what will be sent: the client's own field may belong to a body that a
/// layer has changed.
fn frame(headers: &mut HeaderMap, body: &Upload, target: &Target) {
    let had_length = headers.remove(header::CONTENT_LENGTH).is_some();
    match body.size_hint().exact() {
        // Nothing at all, as a GET has it.
        Some(0) if body.is_end_stream() && !had_length => {}
        Some(length) => {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        // Without it hyper would send no body with a GET.
        None if !target.http2 => {
            headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
        None => {}
    }
}

/// The request as the owner gets it.
pub(super) fn request(
    mut head: Parts,
    body: Upload,
    target: &Target,
    forwarded: HeaderValue,
    protocols: Option<HeaderValue>,
    host: Option<Authority>,
) -> Request<Upload> {
    let headers = &mut head.headers;
    // What `Connection` names is kept: a client could name the field of its session, or one that a proxy
    // in front has added.
    let trailers = hop_by_hop::remove(headers);
    frame(headers, &body, target);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if !target.http2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if let Some(protocols) = protocols {
        hop_by_hop::upgrade_to(headers, protocols);
    }
    headers.insert(fields::FORWARDED, forwarded);
    if target.http2 {
        headers.remove(header::HOST);
        head.version = Version::HTTP_2;
    } else {
        let host = host.as_ref();
        let host = host.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let Some(host) = host {
            headers.insert(header::HOST, host);
        }
        if head.version == Version::HTTP_2 {
            hop_by_hop::join_cookies(headers);
        }
        head.version = Version::HTTP_11;
    }
    let is_origin_form = head.uri.scheme().is_none() && head.uri.authority().is_none();
    if target.http2 || !is_origin_form {
        head.uri = uri(&head.uri, target, host);
    }
    // What the extensions hold is this machine's, but for the protocol of an extended CONNECT.
    let protocol = head.extensions.remove::<Protocol>();
    head.extensions = Extensions::new();
    if let Some(protocol) = protocol {
        head.extensions.insert(protocol);
    }
    Request::from_parts(head, body)
}

/// Origin form for HTTP/1.1, and what is split into pseudo-fields for HTTP/2.
fn uri(of: &Uri, target: &Target, host: Option<Authority>) -> Uri {
    let path = of.path_and_query().cloned();
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    if target.http2 {
        uri.authority = host;
        let tls = target.tls;
        uri.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    }
    Uri::from_parts(uri).unwrap_or_default()
}

/// Whether the call needs HTTP/2 up to the owner: its status comes in trailers.
pub(super) fn is_grpc(head: &Head<'_>) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE);
    head.version == Version::HTTP_2
        && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}
