//! The fields of a head that is carried: what ends at this machine, and what it adds.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::MachineId;

/// What the owner reads of a request that was carried to it: `2;from=<machine>`.
///
/// Clients can forge it, which costs a lookup, or refuses the request that carried it.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("ownership-forwarded");

const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Removes the fields that end with a connection (RFC 9110, section 7.6.1).
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Without an allocation, where `Connection` names nothing that is not removed anyway.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.eq_ignore_ascii_case(b"keep-alive"))
        .filter(|name| !name.eq_ignore_ascii_case(b"close"))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        // Without it the request would be for another host.
        .filter(|name| name != header::HOST)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Whether the peer understands trailers. It says so for one hop, and so does this machine.
pub(super) fn takes_trailers(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::TE).iter();
    lines.any(|line| {
        let mut codings = line.as_bytes().split(|&byte| byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

/// Asks for the protocols again that the removed fields had asked for.
pub(super) fn ask_for_upgrade(headers: &mut HeaderMap, protocols: HeaderValue) {
    headers.insert(header::UPGRADE, protocols);
    headers.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
}

/// What this machine says of the hops that a request has behind it.
pub(super) fn forwarded(hops: u8, from: &MachineId) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{hops};from={from}")).ok()
}

/// How many hops a request has behind it, if it was carried here.
pub(super) fn hops(headers: &HeaderMap) -> Option<u8> {
    let text = headers.get(FORWARDED)?.to_str().ok()?;
    let hops = text.split_once(';').map_or(text, |(hops, _)| hops);
    let is_plain = hops.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| hops.parse().ok()).flatten()
}

/// Whether this very machine carried the request here.
pub(super) fn comes_from(headers: &HeaderMap, machine: &MachineId) -> bool {
    let from = headers.get(FORWARDED).and_then(|line| line.to_str().ok());
    let from = from.and_then(|line| line.split_once(";from="));
    from.is_some_and(|(_, from)| from == machine.as_str())
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

    #[test]
    fn fields_of_the_connection_are_removed_and_all_others_kept() {
        let mut head = headers(&[
            ("connection", "keep-alive, X-Hop"),
            ("connection", "Host, x-other"),
            ("x-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers, deflate"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("host", "app.example.com"),
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("trailer", "grpc-status"),
        ]);
        assert!(takes_trailers(&head));
        remove_hop_by_hop(&mut head);
        let mut left: Vec<&str> = head.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["forwarded", "host", "trailer", "x-forwarded-for"]);
    }

    #[test]
    fn what_this_machine_writes_is_what_the_next_reads() {
        let machine = MachineId::parse("e286544f716d89").unwrap();
        let mut head = HeaderMap::new();
        head.insert(FORWARDED, forwarded(2, &machine).unwrap());
        assert_eq!(hops(&head), Some(2));
        assert!(comes_from(&head, &machine));
        assert!(!comes_from(&head, &MachineId::parse("other").unwrap()));
    }

    #[test]
    fn what_cannot_be_read_is_no_hop() {
        for text in ["", "-1", "+1", "256", "x", ";from=a", "1 ;from=a"] {
            assert_eq!(hops(&headers(&[("ownership-forwarded", text)])), None);
        }
    }
}
