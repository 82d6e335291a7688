//! Which words in the status column mean what.

use std::sync::{Arc, Mutex, PoisonError};

use crate::SessionStatus;

/// Which words in the status column mean what.
#[derive(Clone, Debug)]
pub(super) struct Statuses {
    pub(super) active: Vec<String>,
    pub(super) starting: Vec<String>,
    /// `None`: whatever is neither active nor starting is over.
    pub(super) over: Option<Vec<String>>,
    /// The words that were logged.
    logged: Arc<Mutex<Vec<String>>>,
}

/// So many words are logged, each of so many characters at most.
const MOST: usize = 16;
const LONGEST: usize = 64;

impl Default for Statuses {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().copied().map(str::to_owned).collect();
        Self {
            active: words(&["active"]),
            starting: words(&["creating", "starting", "pending", "provisioning"]),
            over: None,
            logged: Arc::default(),
        }
    }
}

impl Statuses {
    /// The words of sessions that are not over.
    pub(super) fn living(&self) -> Vec<String> {
        self.active.iter().chain(&self.starting).cloned().collect()
    }

    /// Logs once for each word that sessions with it count as over, where that is because no other status has
    /// it: a misspelt word refuses its sessions like those that have ended.
    #[cold]
    pub(super) fn note_over(&self, word: &str) {
        if self.over.is_some() {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= MOST || logged.iter().any(|known| known == word) {
            return;
        }
        logged.push(word.to_owned());
        drop(logged);
        let status: String = word.chars().take(LONGEST).collect();
        tracing::info!(
            target: "tower_ownership",
            status,
            "sessions with this status count as over, as with every word that is neither active nor starting"
        );
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
