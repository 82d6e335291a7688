//! Which words in the status column mean what.

use crate::SessionStatus;

/// Which words in the status column mean what.
#[derive(Clone, Debug)]
pub(super) struct Statuses {
    pub(super) active: Vec<String>,
    pub(super) starting: Vec<String>,
    /// `None`: whatever is neither active nor starting is over.
    pub(super) over: Option<Vec<String>>,
}

impl Default for Statuses {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().copied().map(str::to_owned).collect();
        Self {
            active: words(&["active"]),
            starting: words(&["creating", "starting", "pending", "provisioning"]),
            over: None,
        }
    }
}

impl Statuses {
    /// The words of sessions that are not over.
    pub(super) fn living(&self) -> Vec<String> {
        self.active.iter().chain(&self.starting).cloned().collect()
    }

    /// Words are compared exactly: a database that writes `Active` is configured in the builder.
    pub(super) fn read(&self, word: &str) -> Option<SessionStatus> {
        let among = |words: &[String]| words.iter().any(|known| known == word);
        if among(&self.active) {
            Some(SessionStatus::Active)
        } else if among(&self.starting) {
            Some(SessionStatus::Starting)
        } else if self.over.as_deref().is_none_or(among) {
            Some(SessionStatus::Over)
        } else {
            None
        }
    }
}
