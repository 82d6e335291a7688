//! All checks, and what they come to.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use serde::Serialize;

use super::{Check, HealthCheck};
use crate::{LookupError, LookupErrorKind, MachineId, NodeState, SessionId, ownership::Sessions};

/// Whether a machine should get requests, and why.
///
/// It serializes as the page at `/` shows it, with the names of the fields in `camelCase`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HealthReport {
    /// Whether everything that is required is well.
    pub ready: bool,
    /// This machine, if the builder said that it may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineId>,
    /// All that was checked.
    pub components: Vec<Component>,
}

/// One thing that was checked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// Whether the machine needs it to be ready.
    pub required: bool,
    /// How that shows, or why it is not well.
    pub reason: String,
    /// How long ago that was learnt or has been so, in milliseconds.
    pub age_ms: Option<u64>,
}

impl HealthReport {
    /// The names of what keeps the machine from being ready.
    pub fn failing(&self) -> impl Iterator<Item = &str> {
        self.components
            .iter()
            .filter(|component| component.required && !component.ok)
            .map(|component| &*component.name)
    }
}

/// A check of the application's.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) check: Box<dyn HealthCheck>,
}

/// What a machine's health is read from.
pub(super) struct Health {
    pub(super) sessions: Arc<Sessions>,
    pub(super) max_age: Duration,
    pub(super) timeout: Duration,
    pub(super) canary: SessionId,
    pub(super) directory_is_required: bool,
    pub(super) shows_machine: bool,
    pub(super) checks: Vec<Named>,
}

impl Health {
    pub(super) async fn report(self: Arc<Self>) -> HealthReport {
        let state = self.sessions.node.state();
        let is_volatile = self.sessions.node.is_volatile();
        let directory = self.directory().await;
        let mut components = vec![
            component("identity", true, identity(state)),
            component("node", true, of_node(state, is_volatile)),
            component("directory", self.directory_is_required, directory),
        ];
        components.extend(self.checks.iter().map(|named| {
            let check = catch_unwind(AssertUnwindSafe(|| named.check.check()));
            let check = check.unwrap_or_else(|_| Check::failing("its check panicked"));
            component(&named.name, named.required, check)
        }));
        HealthReport {
            ready: components.iter().all(|one| one.ok || !one.required),
            machine: self
                .shows_machine
                .then(|| self.sessions.node.machine().clone()),
            components,
        }
    }

    /// Whether the directory answers, by what requests learnt lately. If that is not enough, the
    /// canary is looked up as for a request: lookups under way are joined, and after several
    /// failures in a row only one per pause is made.
    async fn directory(&self) -> Check {
        let cache = &self.sessions.cache;
        let last = cache.last_reached();
        let answered = last.answered.filter(|answered| {
            *answered < self.max_age && last.failed.is_none_or(|failed| *answered <= failed)
        });
        if let Some(age) = answered {
            return Check::ok("it answers").with_age(age);
        }
        // As for a replayed request: an answer that is remembered proves nothing.
        let asked = cache.load(&self.canary, true);
        let answer = match select(asked, Delay::new(self.timeout)).await {
            Either::Left((found, _)) => found.session,
            Either::Right(_) => Err(LookupError::timeout(
                "the session directory did not answer within the time limit",
            )),
        };
        match answer {
            // The error itself, without its causes, which may tell of hosts and users.
            Err(error) if error.kind() != LookupErrorKind::Corrupt => {
                Check::failing(error.to_string())
            }
            Ok(_) | Err(_) => Check::ok("it answers").with_age(Duration::ZERO),
        }
    }
}

fn identity(state: NodeState) -> Check {
    if state == NodeState::Fenced {
        Check::failing("another, younger process registered this machine id")
    } else {
        Check::ok("this machine knows which one it is")
    }
}

fn of_node(state: NodeState, is_volatile: bool) -> Check {
    match state {
        NodeState::Draining if is_volatile => Check::failing("it ends its sessions"),
        NodeState::Joining => Check::failing("its presence has not begun yet"),
        NodeState::Serving => Check::ok("it serves"),
        NodeState::Draining => Check::failing("it gives its sessions up"),
        NodeState::Fenced => Check::failing("fenced: another process registered this machine id"),
        NodeState::Removed => Check::failing("removed: this machine was declared gone"),
    }
}

fn component(name: &str, required: bool, check: Check) -> Component {
    let milliseconds = |age: Duration| u64::try_from(age.as_millis());
    Component {
        name: name.to_owned(),
        ok: check.ok,
        required,
        reason: check.reason.into_owned(),
        age_ms: check.age.map(|age| milliseconds(age).unwrap_or(u64::MAX)),
    }
}
