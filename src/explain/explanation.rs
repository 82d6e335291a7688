//! The explanation as a value.

use serde::Serialize;

use super::Finding;
use crate::{Code, MachineId, NodeState, Presence, Source, Verdict};

/// Why a request is answered as it is.
///
/// It serializes with the names of the fields in `camelCase`, and prints as text for a terminal.
/// Fields may be added; those that are there keep their names and meanings.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Explanation {
    /// What is wrong, in one sentence.
    pub summary: String,
    /// The same as a name that a program can match on.
    pub finding: Finding,
    /// What else is worth a look, a sentence each.
    pub notes: Vec<String>,
    /// Which session the request is for.
    pub session: SessionAsked,
    /// How the request came here.
    pub arrival: ArrivalRead,
    /// This machine.
    pub machine: MachineRead,
    /// What the layer was told to do with requests such as this one.
    pub policy: PolicyRead,
    /// Which of the two readings a request that came now would be judged by; `lookup` is the
    /// directory's. Nothing where the request is for no session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_from: Option<Source>,
    /// What the layer remembers of the session.
    pub cached: Option<Reading>,
    /// What the directory says now.
    pub directory: Option<Reading>,
    /// When the directory was last reached before, for any request.
    pub reached: ReachedRead,
    /// The answer to a request whose session id cannot be read, for which nothing is looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<ResponseShown>,
}

/// The session that a request asks for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionAsked {
    /// Its id, or the beginning of it; nothing if the request is for no session.
    pub id: Option<String>,
    /// Where the layer looks for it, in words.
    pub extractor: String,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<String>,
}

/// How a request came here, as far as the proxy in front tells.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ArrivalRead {
    /// `fresh`, `replayed`, `failed`, `missed` or `cached`; see [`Arrival`](crate::Arrival).
    pub how: &'static str,
    /// How many replays of ours it has behind it.
    pub hops: u8,
    /// The machine that could not be reached, or was preferred in vain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineId>,
    /// The machine that had asked for the replay that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_source: Option<MachineId>,
    /// Why the replay failed, in the proxy's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// How long the proxy tried, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// Whether the request came through a proxy that acts on our answers; nothing where that
    /// cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub came_through: Option<bool>,
}

/// This machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MachineRead {
    /// Its id, as the layer was built with it.
    pub id: MachineId,
    /// What its process may do.
    pub state: NodeState,
    /// What the platform calls it, where its environment tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformRead>,
}

/// What a platform calls a machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PlatformRead {
    /// The platform.
    pub name: &'static str,
    /// The environment variable that was read.
    pub variable: &'static str,
    /// The id.
    pub machine: MachineId,
}

/// What the layer was told to do with requests such as this one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PolicyRead {
    /// Whether it claims a session that nobody owns for this request.
    pub claims: bool,
    /// Whether it takes a session over from a lost owner for this request.
    pub takes_over: bool,
    /// How often one request is replayed at most.
    pub max_hops: u8,
    /// The longest wait for a lookup, in milliseconds.
    pub lookup_timeout_ms: u64,
    /// F, in milliseconds: for how long a read of an owned session may be relied on.
    pub lease_ttl_ms: u64,
    /// Whether there is a guard.
    pub guarded: bool,
}

/// When the directory was last reached.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReachedRead {
    /// How long ago it last answered, in milliseconds; nothing if it never did.
    pub answered_ms_ago: Option<u64>,
    /// How long ago it last failed or was too slow, in milliseconds; nothing if it never was.
    pub failed_ms_ago: Option<u64>,
}

/// What is known of the session from one side, and what that means for the request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Reading {
    /// Where it comes from; `stale` is too old, and would be used because the directory fails.
    pub source: Source,
    /// How long before now the directory was asked, in milliseconds.
    pub age_ms: u64,
    /// Whether this request may be judged by it.
    pub usable: bool,
    /// For how long what is remembered may still be used, in milliseconds, by requests that were
    /// not replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usable_for_ms: Option<u64>,
    /// The session; nothing if the directory knows none, or if it failed.
    pub session: Option<SessionRead>,
    /// Why the directory gave no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureRead>,
    /// Whether the application's guard lets this request near the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard_allows: Option<bool>,
    /// What the read allows this machine, where it is the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseRead>,
    /// What becomes of the request by it.
    pub verdict: Verdict,
    /// Why the request would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The verdict in words.
    pub meaning: String,
    /// The answer that would be sent. Nothing where the application answers, or a claim decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseShown>,
}

/// A session as it was read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionRead {
    /// `starting`, `active` or `over`.
    pub status: &'static str,
    /// Its owner.
    pub owner: Option<MachineId>,
    /// Whether that is this machine.
    pub owned_here: bool,
    /// How the owner was, by the directory's clock.
    pub presence: Presence,
    /// The fencing token, where the directory keeps one.
    pub epoch: Option<u64>,
    /// The epoch that a proven release made.
    pub released: Option<u64>,
    /// How long it has to live from now on, in milliseconds; nothing without an end.
    pub remaining_ms: Option<u64>,
    /// The host at which a client can reach the owner, where the directory says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The names of its attributes. Their values are the application's, and are not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
}

/// Why the directory gave no answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FailureRead {
    /// `timeout`, `unavailable` or `corrupt`.
    pub kind: &'static str,
    /// The error, then what caused it, down to the first cause.
    pub chain: Vec<String>,
}

/// What a read of a session allows its owner.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LeaseRead {
    /// `valid`, `pending`, `released` or `expired`.
    pub lease: &'static str,
    /// For how long it may serve, or how long it has to wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<u64>,
}

/// An answer that would be sent.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResponseShown {
    /// Its status.
    pub status: u16,
    /// Its headers, in their order.
    pub headers: Vec<HeaderShown>,
    /// The code in its body. With a replay, that is what a client reads if no proxy acts on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What the code says, in a short sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'static str>,
    /// What happened here, in plain sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A header of an answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HeaderShown {
    /// Its name.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}
