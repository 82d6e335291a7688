//! What can happen next.

use crate::row::Id;

/// Processes and sessions go by their numbers. A pause is that nothing happens on a machine for a
/// while, and a notification that is lost or late is that nothing is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes, for everybody alike.
    Ticks,
    /// It sends a read or a claim.
    Asks(usize, usize, Claims),
    /// What it sent takes effect in the directory.
    Reaches(usize, usize, usize),
    /// The answer arrives.
    Hears(usize, usize, usize),
    /// The answer is lost, or nobody waits for it any more.
    Misses(usize, usize, usize),
    /// A notification is delivered.
    Forgets(usize, usize),
    /// It stops serving the session, and sends a release.
    GivesUp(usize, usize),
    /// The release takes effect.
    Releases(usize, usize),
    /// It stops serving anything, for good.
    BeginsToDrain(usize),
    /// The release of all that it owns takes effect on the session.
    Drains(usize, usize),
    Crashes(usize),
    Restarts(usize),
    /// The directory learns that it has the machine's id now.
    IsKnown(usize),
    /// A claim that nobody waits for takes effect after all; and so on.
    ClaimsLate(usize, usize),
    ReleasesLate(usize, usize),
    DrainsLate(usize, usize),
    /// The orchestrator writes an owner, and asks nobody.
    Assigns(usize, Option<Id>),
    /// Time passes for all but one.
    StandsStill(usize),
    /// The row is deleted, and inserted again with an owner.
    Replaces(usize, Id),
    /// The row moves to another partition, with the owner that it has or another one.
    Moves(usize, Option<Id>),
    /// The standby comes up with the row.
    Replicates(usize),
    /// What a machine sent reaches the standby instead.
    ReachesStandby(usize, usize, usize),
    DropsTriggers,
    AppliesTriggers,
    /// The row is written, by whatever does not change its owner.
    Touches(usize),
    /// A request is judged, and may pass.
    Decides(usize, usize),
    /// It reaches the handler, if it still may.
    Passes(usize, usize),
    /// The cache loses count of how long it has known that it owns the session.
    Evicts(usize, usize),
    /// The process says that it has left, and ends.
    Leaves(usize),
    /// The row of the machine is deleted.
    DeletesMachine,
    /// The process that misses it puts it back.
    PutsBack(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claims {
    No,
    Yes,
}
