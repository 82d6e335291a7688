//! The problem document (RFC 9457).

use std::time::SystemTime;

use http::HeaderValue;
use serde::Serialize;

use super::internals::{Internals, whole_seconds};
use crate::{Rejection, SessionId};

pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The document's members, in the order in which a person wants to read them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
}

/// Writes the document. `base` is what the code is appended to for the problem's `type`.
pub(super) fn write(
    rejection: &Rejection,
    base: &str,
    internals: Internals<'_>,
    now: Option<SystemTime>,
) -> Vec<u8> {
    let code = rejection.code();
    let problem = Problem {
        r#type: format!("{base}{}", code.as_str()),
        title: code.title(),
        status: rejection.status().as_u16(),
        detail: rejection.detail(),
        code: code.as_str(),
        session_id: rejection.session().map(SessionId::to_string),
        timestamp: now.map(|now| humantime::format_rfc3339_millis(now).to_string()),
        retry_after: rejection.retry_after().map(whole_seconds),
        machine: internals.machine,
        owner: internals.owner,
    };
    // Text and numbers cannot fail to become JSON; if they did, status and headers still stand.
    serde_json::to_vec(&problem).unwrap_or_default()
}
