//! Whether a request may end a session whose process is gone.

use super::{Policy, Question};
use crate::{Head, claim::is_probe, decision::Volatile};

impl Policy {
    pub(super) fn volatile(&self, head: &Head<'_>, question: &Question) -> Volatile {
        if !self.sessions.node.is_volatile() {
            Volatile::No
        } else if question.claimed {
            Volatile::Ended
        } else if is_probe(head) {
            Volatile::Yes
        } else {
            Volatile::MayEnd
        }
    }
}
