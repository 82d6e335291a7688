//! What this process may do at all, whatever it owns.

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether this process may serve the sessions that its machine owns.
///
/// A process serves from its start, or from when it has [joined](Self::Joining). Later states are
/// final: they end with the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NodeState {
    /// It is not a member of its fleet yet; see
    /// [`require_membership`](crate::OwnershipLayerBuilder::require_membership).
    Joining,
    /// It serves.
    #[default]
    Serving,
    /// It gives its sessions up, and neither serves nor claims any more.
    Draining,
    /// Another, younger process registered this machine id.
    Fenced,
    /// An operator declared this machine gone.
    Removed,
}

impl NodeState {
    pub(crate) const ALL: [Self; 5] = [
        Self::Joining,
        Self::Serving,
        Self::Draining,
        Self::Fenced,
        Self::Removed,
    ];

    /// The state as events, metrics and reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Fenced => "fenced",
            Self::Removed => "removed",
        }
    }
}

/// The state of this process, which never goes back.
#[derive(Debug)]
pub(super) struct AtomicNodeState(AtomicU8);

impl AtomicNodeState {
    pub(super) fn new(state: NodeState) -> Self {
        Self(AtomicU8::new(state as u8))
    }

    #[inline]
    pub(super) fn get(&self) -> NodeState {
        let at = usize::from(self.0.load(Ordering::Acquire));
        NodeState::ALL
            .get(at)
            .copied()
            .unwrap_or(NodeState::Removed)
    }

    /// Goes on to this state, and never back. Returns whether the state changed.
    pub(super) fn advance(&self, to: NodeState) -> bool {
        self.0.fetch_max(to as u8, Ordering::AcqRel) < to as u8
    }

    /// Goes back to `Joining`, the only way back there is, for a process that has not joined yet.
    /// Returns whether the state changed.
    pub(super) fn await_membership(&self) -> bool {
        let (from, to) = (NodeState::Serving as u8, NodeState::Joining as u8);
        let swap = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        swap.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stopped_serving_never_begins_again() {
        let state = AtomicNodeState::new(NodeState::Joining);
        for (at, to) in NodeState::ALL.into_iter().enumerate() {
            assert_eq!(state.advance(to), at > 0);
            assert_eq!(state.get(), to);
            for earlier in &NodeState::ALL[..at] {
                assert!(!state.advance(*earlier));
            }
        }
        assert_eq!(state.get(), NodeState::Removed);
    }
}
