//! All checks, and what they come to.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::Serialize;

use super::{Check, builder::Named, directory::Directory};
use crate::{MachineId, NodeState, ownership::Sessions};

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

/// What a machine's health is asked of.
pub(super) struct Health {
    pub(super) sessions: Arc<Sessions>,
    pub(super) directory: Arc<Directory>,
    pub(super) directory_is_required: bool,
    pub(super) shows_machine: bool,
    pub(super) checks: Vec<Named>,
}

impl Health {
    pub(super) async fn report(self: Arc<Self>) -> HealthReport {
        let state = self.sessions.node.state();
        let directory = Arc::clone(&self.directory).check().await;
        let mut components = vec![
            component("identity", true, identity(state)),
            component("node", true, of_node(state)),
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
}

fn identity(state: NodeState) -> Check {
    if state == NodeState::Fenced {
        Check::failing("another, younger process registered this machine id")
    } else {
        Check::ok("this machine knows which one it is")
    }
}

fn of_node(state: NodeState) -> Check {
    match state {
        NodeState::Joining => Check::failing("its presence has not begun yet"),
        NodeState::Serving => Check::ok("it serves"),
        NodeState::Draining => Check::failing("it gives its sessions up"),
        NodeState::Fenced => Check::failing("fenced: another process registered this machine id"),
        NodeState::Removed => Check::failing("removed: this machine was declared gone"),
    }
}

fn component(name: &str, required: bool, check: Check) -> Component {
    let milliseconds = |age: std::time::Duration| u64::try_from(age.as_millis());
    Component {
        name: name.to_owned(),
        ok: check.ok,
        required,
        reason: check.reason.into_owned(),
        age_ms: check.age.map(|age| milliseconds(age).unwrap_or(u64::MAX)),
    }
}
