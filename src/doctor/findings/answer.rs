//! What a client sees of the way to a session.

use serde::Serialize;

/// What came of the request to the public URL.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(
    tag = "state",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub(in crate::doctor) enum Answer {
    #[default]
    NotAsked,
    Failed {
        /// The URL that gave none, be it the public one or one that was redirected to.
        url: String,
        why: &'static str,
        error: String,
        redirects: Vec<String>,
    },
    Got(Box<Got>),
}

/// An answer, as a client sees it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::doctor) struct Got {
    /// The public one.
    pub(in crate::doctor) url: String,
    /// Where redirects led from there.
    pub(in crate::doctor) redirects: Vec<String>,
    /// This is one redirect more than is followed.
    pub(in crate::doctor) circular: bool,
    /// Of the last answer.
    pub(in crate::doctor) milliseconds: u64,
    pub(in crate::doctor) status: u16,
    /// `Ownership-Code`: set if the layer answered.
    pub(in crate::doctor) code: Option<String>,
    pub(in crate::doctor) detail: Option<String>,
    /// Who answered, if it said so.
    pub(in crate::doctor) machine: Option<String>,
    /// A `fly-replay` that nobody took away.
    pub(in crate::doctor) replay: Option<String>,
    pub(in crate::doctor) request_id: Option<String>,
    pub(in crate::doctor) via: Vec<String>,
    pub(in crate::doctor) server: Option<String>,
    pub(in crate::doctor) empty: bool,
    /// The ways it took, where an edge of ours tells.
    pub(in crate::doctor) hops: Vec<String>,
    /// Addresses of the URL's host and of the app's own name, if both could be resolved.
    pub(in crate::doctor) addresses: Option<Addresses>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::doctor) struct Addresses {
    pub(in crate::doctor) host: String,
    pub(in crate::doctor) of_the_host: Vec<String>,
    pub(in crate::doctor) app: String,
    pub(in crate::doctor) of_the_app: Vec<String>,
}

impl Got {
    /// Whether something served the request: no error, and not the layer.
    pub(in crate::doctor) fn is_served(&self) -> bool {
        self.code.is_none() && self.status < 400 && !self.circular
    }

    /// Whether Fly's proxy was on the way, by what it writes into answers.
    pub(in crate::doctor) fn came_through_fly(&self) -> bool {
        self.request_id.is_some()
            || self.via.iter().any(|via| via.contains("fly.io"))
            || self
                .server
                .as_deref()
                .is_some_and(|server| server.starts_with("Fly/"))
    }

    /// Why a replay failed, in the proxy's words; the detail ends with them.
    pub(in crate::doctor) fn reason(&self) -> Option<&'static str> {
        let detail = self.detail.as_deref()?;
        ["no_candidate", "retries_exhausted", "timeout"]
            .into_iter()
            .find(|reason| detail.contains(&format!("({reason})")))
    }
}
