//! What is known of a session when it is explained.

use crate::{
    cache::{Found, Remembered},
    policy::{Policy, Question},
};

/// What is known of a session.
pub(super) struct Looked {
    /// By this machine.
    pub(super) cached: Option<Remembered>,
    /// By the directory.
    pub(super) asked: Found,
}

impl Looked {
    /// Asks the directory, within the layer's time limit.
    pub(super) async fn at(policy: &Policy, question: &Question) -> Self {
        let cache = &policy.sessions.cache;
        // Before the directory is asked: a request that came now would find this.
        let cached = cache.remembered(&question.session);
        let asked = cache.ask_apart(question.session.clone(), cache.timeout());
        Self {
            cached,
            asked: asked.await,
        }
    }
}
