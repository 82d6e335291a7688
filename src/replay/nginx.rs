//! nginx: an answer that a stock nginx takes to the owner, with method, body and upgrade kept.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::{Handover, NotReplayable, Replay, Verbatim};
use crate::{Address, FailureReason, Head, ReplayFailure, RequestOrigin, directory::DirectoryId};

const ACCEL_REDIRECT: HeaderName = HeaderName::from_static("x-accel-redirect");
const OWNER: HeaderName = HeaderName::from_static("x-owner");
const HOPS: HeaderName = HeaderName::from_static("x-owner-hops");
const DIRECTORY: HeaderName = HeaderName::from_static("x-owner-directory");
const FAILED: HeaderName = HeaderName::from_static("x-owner-failed");
const CODE: HeaderName = HeaderName::from_static("ownership-code");

/// Hands requests over by stock nginx in front, configured as `examples/nginx/ownership.conf`.
///
/// The answer has status 399 and no body, and names the location of nginx that goes on, the owner, and
/// how often the request was handed over:
/// `X-Accel-Redirect: @owner`, `X-Owner: <host and port>`, `X-Owner-Hops: <n>`; and where it is known,
/// `X-Owner-Directory: <id>`, the [directory](DirectoryId) that this machine reads. nginx then sends the
/// request, whose body it has kept, to that owner, and the client sees nothing but the owner's answer.
/// When nginx cannot, it asks a machine once more, with `X-Owner-Failed: <reason>`, which answers
/// `owner-unreachable`.
///
/// The owner is the host and port of the session's [`owner_address`](crate::Session::owner_address), as the
/// [heartbeat](crate::ownership::HeartbeatBuilder::address) or your orchestrator wrote it: an address that
/// nginx can connect to. Its scheme is not used, as the configuration says how nginx speaks to machines; an
/// address with a path is `directory-corrupt`. **The configuration's allow-list decides where nginx
/// connects to**, not the row.
///
/// The configuration overwrites `X-Owner-Hops`, `X-Owner-Directory` and `X-Owner-Failed` of every client. A
/// client that reaches a machine without nginx can forge them, and then gets a refusal where it would have got the answer
/// above: they grant nothing.
///
/// Status 399 is none of HTTP's: no application answers with it, and the client of a proxy that does not
/// act on the answer takes it for one that is final. It carries `Ownership-Code: replay-not-honoured`.
///
/// Sources: `X-Accel-Redirect` in
/// [`ngx_http_proxy_module`](https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_headers);
/// that a named location keeps method and body, and which fields of this answer go along, was read in
/// nginx's source (`ngx_http_upstream_process_headers`) and is tested with nginx 1.22.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NginxReplay;

impl NginxReplay {
    /// A replay by nginx.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Replay for NginxReplay {
    fn replay(
        &self,
        _head: &Head<'_>,
        handover: &Handover<'_>,
    ) -> Result<Response<Bytes>, NotReplayable> {
        let address = handover
            .session
            .owner_address()
            .ok_or(NotReplayable::NoAddress)?;
        if !is_bare(address) {
            return Err(NotReplayable::ForbiddenAddress);
        }
        let owner = HeaderValue::from_str(address.authority())
            .map_err(|_| NotReplayable::ForbiddenAddress)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::from_u16(399).unwrap_or(StatusCode::CONFLICT);
        response.extensions_mut().insert(Verbatim);
        let hops = u16::from(handover.origin.hops()) + 1;
        response.headers_mut().extend([
            (ACCEL_REDIRECT, HeaderValue::from_static("@owner")),
            (OWNER, owner),
            (HOPS, HeaderValue::from(hops)),
            (CODE, HeaderValue::from_static("replay-not-honoured")),
        ]);
        let directory = handover.directory;
        if let Some(Ok(id)) = directory.map(|id| HeaderValue::from_str(id.as_str())) {
            response.headers_mut().insert(DIRECTORY, id);
        }
        Ok(response)
    }

    fn origin(&self, head: &Head<'_>) -> RequestOrigin {
        let headers = &head.headers;
        if let Some(report) = headers.get(&FAILED) {
            let reason = report
                .to_str()
                .map_or(FailureReason::Other, FailureReason::parse);
            return RequestOrigin::Failed(ReplayFailure {
                reason,
                ..ReplayFailure::default()
            });
        }
        match hops(headers) {
            Some(hops) if hops > 0 => RequestOrigin::Replayed { hops },
            _ => RequestOrigin::Direct,
        }
    }

    fn directory(&self, head: &Head<'_>) -> Option<DirectoryId> {
        DirectoryId::parse(head.headers.get(&DIRECTORY)?.to_str().ok()?)
    }

    /// The configuration sends `X-Owner-Hops: 0` with what comes from a client.
    fn came_through(&self, head: &Head<'_>) -> Option<bool> {
        let headers = &head.headers;
        (!headers.is_empty()).then(|| headers.contains_key(&HOPS) || headers.contains_key(&FAILED))
    }
}

/// Whether the address is no more than a host and a port.
fn is_bare(address: &Address) -> bool {
    let path = address.as_uri().path_and_query();
    path.is_none_or(|path| matches!(path.as_str(), "" | "/"))
}

fn hops(headers: &HeaderMap) -> Option<u8> {
    let text = headers.get(&HOPS)?.to_str().ok()?;
    // `u8::from_str` accepts a sign, we never write one. What is too large for it was not written by us
    // either, and counts as the most.
    let is_count = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_count.then(|| text.parse().unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use http::request::Parts;

    use super::*;
    use crate::{MachineId, Session};

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn origin(headers: &[(&str, &str)]) -> RequestOrigin {
        NginxReplay::new().origin(&(&head(headers)).into())
    }

    fn answer(address: &str, origin: &RequestOrigin) -> Result<Response<Bytes>, NotReplayable> {
        let (owner, machine): (MachineId, MachineId) =
            ("web-2".parse().unwrap(), "web-1".parse().unwrap());
        let session = "807efe44-d63e-4a24-88f5-dbe96112830a".parse().unwrap();
        let session = Session::owned_by(session, owner.clone())
            .with_address(Address::parse(address).unwrap());
        let handover = Handover::new(&session, &owner, &machine, origin);
        NginxReplay::new().replay(&(&head(&[])).into(), &handover)
    }

    #[test]
    fn the_answer_names_the_owner_and_counts_hops() {
        for (origin, hops) in [
            (RequestOrigin::Direct, "1"),
            (RequestOrigin::Replayed { hops: 1 }, "2"),
            (RequestOrigin::Replayed { hops: u8::MAX }, "256"),
        ] {
            let answer = answer("http://10.0.0.12:8080", &origin).unwrap();
            assert_eq!(answer.status(), 399);
            assert_eq!(answer.headers()["x-accel-redirect"], "@owner");
            assert_eq!(answer.headers()["x-owner"], "10.0.0.12:8080");
            assert_eq!(answer.headers()["x-owner-hops"], hops);
            assert!(answer.body().is_empty());
        }
    }

    #[test]
    fn an_address_with_a_path_is_refused() {
        for bare in ["http://a:80", "http://a:80/", "https://[fd00::1]:80"] {
            assert!(answer(bare, &RequestOrigin::Direct).is_ok(), "{bare}");
        }
        for more in ["http://a:80/base", "http://a:80/?x", "http://a:80//"] {
            let refused = answer(more, &RequestOrigin::Direct).unwrap_err();
            assert_eq!(refused, NotReplayable::ForbiddenAddress, "{more}");
        }
    }

    #[test]
    fn hops_and_failure_are_read_from_what_nginx_sets() {
        let replayed = |hops| RequestOrigin::Replayed { hops };
        assert_eq!(origin(&[]), RequestOrigin::Direct);
        assert_eq!(origin(&[("x-owner-hops", "0")]), RequestOrigin::Direct);
        assert_eq!(origin(&[("x-owner-hops", "2")]), replayed(2));
        assert_eq!(origin(&[("x-owner-hops", "4711")]), replayed(u8::MAX));
        for odd in ["", "-1", "+1", "1 ", "1,2", "one"] {
            let read = origin(&[("x-owner-hops", odd)]);
            assert_eq!(read, RequestOrigin::Direct, "{odd:?}");
        }
        for (text, reason) in [
            ("timeout", FailureReason::Timeout),
            ("retries_exhausted", FailureReason::RetriesExhausted),
            ("no_candidate", FailureReason::NoCandidate),
            ("1", FailureReason::Other),
            ("", FailureReason::Other),
        ] {
            let RequestOrigin::Failed(failure) =
                origin(&[("x-owner-failed", text), ("x-owner-hops", "1")])
            else {
                panic!("{text:?} is no failure");
            };
            assert_eq!(failure.reason, reason);
        }
    }

    #[test]
    fn a_request_past_nginx_is_told_from_one_through_it() {
        let came =
            |headers: &[(&str, &str)]| NginxReplay::new().came_through(&(&head(headers)).into());
        assert_eq!(came(&[]), None);
        assert_eq!(came(&[("host", "a")]), Some(false));
        assert_eq!(came(&[("host", "a"), ("x-owner-hops", "0")]), Some(true));
    }
}
