//! The problem document (RFC 9457).

use std::{fmt, time::SystemTime};

use http::HeaderValue;
use humantime::Rfc3339Timestamp;
use serde::{Serialize, Serializer};

use super::internals::{Internals, whole_seconds};
use crate::{Rejection, SessionId};

pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The document's members, in the order in which a person wants to read them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: Text<fmt::Arguments<'a>>,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Text<&'a SessionId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Text<Rfc3339Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
}

/// What is written as a text, and in no memory of its own.
struct Text<T>(T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Longer than most documents.
const ROOM: usize = 768;

/// Writes the document. `base` is what the code is appended to for the problem's `type`.
pub(super) fn write(
    rejection: &Rejection,
    base: &str,
    internals: Internals<'_>,
    now: Option<SystemTime>,
) -> Vec<u8> {
    let code = rejection.code();
    let problem = Problem {
        r#type: Text(format_args!("{base}{}", code.as_str())),
        title: code.title(),
        status: rejection.status().as_u16(),
        detail: rejection.detail(),
        code: code.as_str(),
        session_id: rejection.session().map(Text),
        timestamp: now.map(|now| Text(humantime::format_rfc3339_millis(now))),
        retry_after: rejection.retry_after().map(whole_seconds),
        machine: internals.machine,
        owner: internals.owner,
    };
    // Text and numbers cannot fail to become JSON; if they did, status and headers still stand.
    let mut document = Vec::with_capacity(ROOM);
    if serde_json::to_writer(&mut document, &problem).is_err() {
        document.clear();
    }
    document
}
