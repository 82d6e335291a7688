//! What Fly Proxy writes into the requests that it delivers.
//!
//! Source: fly.io/docs/networking/dynamic-request-routing. Whether the proxy removes headers of
//! these names that a client sent is not documented, so they are read as hints that can only make
//! us stricter.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{FailureReason, MachineId, ReplayFailure, RequestOrigin, directory::DirectoryId};

const FAILED: HeaderName = HeaderName::from_static("fly-replay-failed");
const MISSED: HeaderName = HeaderName::from_static("fly-preferred-instance-unavailable");
const SOURCE: HeaderName = HeaderName::from_static("fly-replay-src");
const CACHE_STATUS: HeaderName = HeaderName::from_static("fly-replay-cache-status");

/// What our `state` begins with, before the hops; it comes back in `fly-replay-src`. Replays have
/// other uses, and only ours count.
pub(super) const STATE_PREFIX: &str = "own.";

/// What stands in our `state` between the hops and the directory.
pub(super) const BEFORE_DIRECTORY: &str = ".";

/// Reads how a request came here.
pub(super) fn origin(headers: &HeaderMap, caching: bool) -> RequestOrigin {
    // One pass over the names costs less than asking for four of them, and most requests carry
    // none.
    if !headers.keys().any(|name| is_reported(name.as_str())) {
        return RequestOrigin::Direct;
    }
    if let Some(report) = headers.get(&FAILED) {
        return RequestOrigin::Failed(failure(report));
    }
    let hops = hops(headers);
    if let Some(machine) = headers.get(&MISSED).and_then(machine_id) {
        return RequestOrigin::FellBack {
            machine,
            hops: hops.unwrap_or(0),
        };
    }
    if let Some(hops) = hops {
        return RequestOrigin::Replayed { hops };
    }
    let hit = |status: &HeaderValue| status.as_bytes().eq_ignore_ascii_case(b"hit");
    if caching && headers.get(&CACHE_STATUS).is_some_and(hit) {
        return RequestOrigin::ReplayCache;
    }
    RequestOrigin::Direct
}

/// Whether a field of this name may say how a request came here.
fn is_reported(name: &str) -> bool {
    let rest = name.strip_prefix("fly-");
    rest.is_some_and(|rest| rest.starts_with("replay") || rest.starts_with("preferred"))
}

/// Whether a GET with these arrived directly, has no body, and asks for no other protocol.
pub(super) fn are_plain(headers: &HeaderMap) -> bool {
    let concerns_us = |name: &HeaderName| {
        let name = name.as_str();
        // By the first letter, because most names need no more.
        match name.as_bytes().first() {
            Some(b'f') => is_reported(name),
            Some(b'c') => name == "content-length",
            Some(b't') => name == "transfer-encoding",
            Some(b'u') => name == "upgrade",
            _ => false,
        }
    };
    !headers.keys().any(concerns_us)
}

/// Whether a request came through the proxy. It adds these to every request ("Request headers" in
/// Fly's reference).
///
/// A head without any header was written by hand and tells nothing.
pub(super) fn came_through(headers: &HeaderMap) -> Option<bool> {
    let added = ["fly-client-ip", "fly-forwarded-port", "fly-region"];
    (!headers.is_empty()).then(|| added.iter().any(|name| headers.contains_key(*name)))
}

/// How many replays of ours the request has behind it; `None` if none of ours is reported.
///
/// What the header holds after a second hop is not documented, so all values are read and the
/// largest count holds.
fn hops(headers: &HeaderMap) -> Option<u8> {
    states(headers).map(|(hops, _)| hops).max()
}

/// The directory that the machine reads which asked for the last replay of ours.
pub(super) fn directory(headers: &HeaderMap) -> Option<DirectoryId> {
    states(headers).max_by_key(|(hops, _)| *hops)?.1
}

fn states(headers: &HeaderMap) -> impl Iterator<Item = (u8, Option<DirectoryId>)> {
    headers
        .get_all(&SOURCE)
        .iter()
        .flat_map(fields)
        .filter(|(name, _)| *name == "state")
        .filter_map(|(_, state)| read_state(state))
}

/// The hops, and the directory if there is one.
fn read_state(state: &str) -> Option<(u8, Option<DirectoryId>)> {
    let state = state.strip_prefix(STATE_PREFIX)?;
    let (count, directory) = match state.split_once(BEFORE_DIRECTORY) {
        Some((count, directory)) => (count, Some(DirectoryId::parse(directory)?)),
        None => (state, None),
    };
    // `u8::from_str` accepts a sign, we never write one.
    let is_count = count.bytes().all(|byte| byte.is_ascii_digit());
    is_count
        .then(|| count.parse().ok())?
        .map(|hops| (hops, directory))
}

/// Reads the report of a failed replay. A report that cannot be read is still a report: the proxy
/// refuses to replay this request again, whatever the reason was.
fn failure(report: &HeaderValue) -> ReplayFailure {
    let mut failure = ReplayFailure::default();
    for (name, value) in fields(report) {
        match name {
            "instance" => failure.machine = MachineId::parse(value).ok(),
            "replay_source" => failure.replay_source = MachineId::parse(value).ok(),
            "reason" => failure.reason = FailureReason::parse(value),
            "elapsed_ms" => failure.elapsed = value.parse().ok().map(Duration::from_millis),
            _ => {}
        }
    }
    failure
}

/// The `name=value` fields of a header. Fly's reference separates them by semicolons; a comma is
/// part of a value.
fn fields(value: &HeaderValue) -> impl Iterator<Item = (&str, &str)> {
    let text = value.to_str().unwrap_or_default();
    text.split(';')
        .filter_map(|field| field.trim().split_once('='))
}

fn machine_id(value: &HeaderValue) -> Option<MachineId> {
    MachineId::parse(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)], caching: bool) -> RequestOrigin {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        origin(&map, caching)
    }

    #[test]
    fn our_own_replays_are_counted() {
        let src = "instance=56837ddda10348;region=iad;t=1757000000000000;state=own.1";
        assert_eq!(
            read(&[("fly-replay-src", src)], false),
            RequestOrigin::Replayed { hops: 1 }
        );
        let with = "instance=a;state=own.7.1a2b3c4d";
        assert_eq!(
            read(&[("fly-replay-src", with)], false),
            RequestOrigin::Replayed { hops: 7 }
        );
        let mut map = HeaderMap::new();
        map.append(SOURCE, HeaderValue::from_static(with));
        assert_eq!(directory(&map), DirectoryId::parse("1a2b3c4d"));
        map.append(SOURCE, HeaderValue::from_static("state=own.8"));
        assert_eq!(directory(&map), None, "the last one does not say");
        assert_eq!(
            read(&[("fly-replay-src", "state=own.7")], false),
            RequestOrigin::Replayed { hops: 7 }
        );
    }

    #[test]
    fn the_largest_count_holds_however_the_header_piles_up() {
        assert_eq!(
            read(
                &[
                    ("fly-replay-src", "state=own.1"),
                    ("fly-replay-src", "state=own.2")
                ],
                false
            ),
            RequestOrigin::Replayed { hops: 2 }
        );
        assert_eq!(
            read(&[("fly-replay-src", "state=own.2;state=own.1")], false),
            RequestOrigin::Replayed { hops: 2 }
        );
    }

    #[test]
    fn replays_of_others_mean_nothing() {
        for src in [
            "instance=a;region=iad;t=1",
            "instance=a;state=captured",
            "state=own",
            "state=own.",
            "state=own.+1",
            "state=own.-1",
            "state=own.256",
            "state=own.1x",
            "state=own.1.",
            "state=own.1.1a2b3c4",
            "state=own.1.1A2B3C4D",
            "state=own.1.1a2b3c4d.",
            "state=town.1",
            "",
            ";;;",
            "own.1",
            "=",
            "instance=a,state=own.1",
        ] {
            assert_eq!(
                read(&[("fly-replay-src", src)], false),
                RequestOrigin::Direct,
                "{src:?}"
            );
        }
        assert_eq!(
            read(&[("fly-replay-src", "state=own.1\u{e4}")], false),
            RequestOrigin::Direct
        );
    }

    #[test]
    fn a_failed_replay_is_read_with_its_reason() {
        let report = "instance=e2863555a91708;app=demo;region=iad;replay_source=56837ddda10348;reason=no_candidate;elapsed_ms=5012";
        let expected = ReplayFailure {
            machine: MachineId::parse("e2863555a91708").ok(),
            replay_source: MachineId::parse("56837ddda10348").ok(),
            reason: FailureReason::NoCandidate,
            elapsed: Some(Duration::from_millis(5012)),
        };
        assert_eq!(
            read(
                &[
                    ("fly-replay-failed", report),
                    ("fly-replay-src", "state=own.1")
                ],
                false
            ),
            RequestOrigin::Failed(expected)
        );
    }

    #[test]
    fn a_report_that_cannot_be_read_is_still_a_failure() {
        for report in [
            "",
            "nonsense",
            "reason=martians;instance=;;elapsed_ms=-1;instance=a b",
        ] {
            assert_eq!(
                read(&[("fly-replay-failed", report)], false),
                RequestOrigin::Failed(ReplayFailure::default()),
                "{report:?}"
            );
        }
    }

    #[test]
    fn a_missed_preference_names_the_machine_and_keeps_the_count() {
        let missed = |hops| RequestOrigin::FellBack {
            machine: MachineId::parse("e2863555a91708").unwrap(),
            hops,
        };
        assert_eq!(
            read(
                &[("fly-preferred-instance-unavailable", "e2863555a91708")],
                false
            ),
            missed(0)
        );
        let both = [
            ("fly-preferred-instance-unavailable", "e2863555a91708"),
            ("fly-replay-src", "state=own.1"),
        ];
        assert_eq!(read(&both, false), missed(1));
        assert_eq!(
            read(
                &[("fly-preferred-instance-unavailable", "not a machine")],
                false
            ),
            RequestOrigin::Direct
        );
    }

    #[test]
    fn the_cache_status_counts_only_where_caching_is_on() {
        assert_eq!(
            read(&[("fly-replay-cache-status", "hit")], true),
            RequestOrigin::ReplayCache
        );
        assert_eq!(
            read(&[("fly-replay-cache-status", "hit")], false),
            RequestOrigin::Direct
        );
        for status in ["miss", "bypass", "", "hits"] {
            assert_eq!(
                read(&[("fly-replay-cache-status", status)], true),
                RequestOrigin::Direct
            );
        }
    }
}
