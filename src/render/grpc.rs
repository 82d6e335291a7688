//! The answer of a gRPC call that was refused: everything in the header block ("Trailers-Only").

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::ResponseFormat;
use crate::Rejection;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
/// Its clients read a status in the header block as those of gRPC do, if the content type is theirs.
const WEB: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");
const WEB_TEXT: HeaderValue = HeaderValue::from_static("application/grpc-web-text+proto");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// How long to wait before the next attempt (gRFC A6). Only a client that was configured to
/// retry looks at it, and only for a status that it was configured to retry.
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What the gRPC specification leaves as it stands: space to `~`, without `%`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Writes the headers that make a gRPC status of it. The HTTP status has to be 200: with any
/// other one, clients make up a status from it and drop the message.
pub(super) fn write(rejection: &Rejection, format: ResponseFormat, headers: &mut HeaderMap) {
    let content_type = match format {
        ResponseFormat::GrpcWeb => WEB,
        ResponseFormat::GrpcWebText => WEB_TEXT,
        _ => CONTENT_TYPE,
    };
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(STATUS, HeaderValue::from(rejection.grpc() as u16));
    // The code comes first because many clients log the message and nothing else.
    let text = format!("{}: {}", rejection.code().as_str(), rejection.detail());
    // What was escaped is a valid header; a message that were none would still leave the status.
    if let Ok(message) = HeaderValue::try_from(escape(&text)) {
        headers.insert(MESSAGE, message);
    }
    if let Some(wait) = rejection.retry_after() {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        headers.insert(PUSHBACK, HeaderValue::from(millis));
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MachineId, NotReplayable, RejectionCode};

    fn machine() -> MachineId {
        MachineId::parse("m1").unwrap()
    }

    fn written(rejection: &Rejection) -> HeaderMap {
        let mut headers = HeaderMap::new();
        write(rejection, ResponseFormat::Grpc, &mut headers);
        headers
    }

    #[test]
    fn every_code_has_its_status() {
        for (code, status) in [
            (RejectionCode::SessionMalformed, "3"),
            (RejectionCode::SessionMissing, "3"),
            (RejectionCode::SessionUnknown, "5"),
            (RejectionCode::SessionOver, "9"),
            (RejectionCode::SessionForbidden, "7"),
            (RejectionCode::SessionStarting, "14"),
            (RejectionCode::SessionUnassigned, "14"),
            (RejectionCode::SessionMoving, "14"),
            (RejectionCode::OwnerLost, "14"),
            (RejectionCode::OwnerNeverSeen, "14"),
            (RejectionCode::DuplicateIdentity, "14"),
            (RejectionCode::ReplayNotHonoured, "9"),
            (RejectionCode::OwnerUnreachable, "14"),
            (RejectionCode::ReplayLoop, "13"),
            (RejectionCode::NotReplayable, "9"),
            (RejectionCode::SessionAbsent, "9"),
            (RejectionCode::DirectoryCorrupt, "13"),
            (RejectionCode::LookupUnavailable, "14"),
        ] {
            let headers = written(&Rejection::new(code, machine(), "Why."));
            assert_eq!(headers["grpc-status"], status, "{code:?}");
            assert_eq!(
                headers["grpc-message"],
                format!("{}: Why.", code.as_str()).as_str()
            );
            // A client is told to wait exactly where it may take the status for a passing one.
            assert_eq!(
                headers.contains_key("grpc-retry-pushback-ms"),
                status == "14",
                "{code:?}"
            );
        }
    }

    #[test]
    fn a_body_that_is_too_large_has_grpcs_own_status_for_that() {
        let too_large = NotReplayable::BodyTooLarge { limit: 1_000_000 };
        let headers = written(&Rejection::not_replayable(machine(), too_large));
        assert_eq!(headers["grpc-status"], "8");
    }

    #[test]
    fn the_pushback_is_in_milliseconds() {
        let headers = written(&Rejection::new(
            RejectionCode::OwnerUnreachable,
            machine(),
            "",
        ));
        assert_eq!(headers["grpc-retry-pushback-ms"], "5000");
    }

    #[test]
    fn messages_are_escaped_as_grpc_says() {
        assert_eq!(
            escape("plain, (with) ~ signs: \"x\""),
            "plain, (with) ~ signs: \"x\""
        );
        assert_eq!(escape("100 % sûr\n"), "100 %25 s%C3%BBr%0A");
        assert_eq!(escape("\u{7f}…"), "%7F%E2%80%A6");
        let headers = written(&Rejection::new(
            RejectionCode::LookupUnavailable,
            machine(),
            "a\r\nb: ü",
        ));
        assert_eq!(
            headers["grpc-message"],
            "lookup-unavailable: a%0D%0Ab: %C3%BC"
        );
    }
}
