//! Ways to get the protocol wrong, and things it cannot bear.

/// One thing that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The wait is one tick shorter than the time for which a read is relied on.
    WaitsLess,
    /// No owner waits.
    NeverWaits,
    /// The wait is counted from when the read that names the machine was sent.
    WaitsFromTheQuestion,
    /// The wait begins anew with every read.
    WaitsAnew,
    /// A read's age is counted from when its answer arrived.
    AgesFromTheAnswer,
    /// Every release is written down as a proof, also one by a machine that still waits.
    EveryReleaseProves,
    /// An owner that somebody else sets to NULL is taken for one that released.
    NullProves,
    /// A release is taken for a proof as long as there is no later one.
    ProofsLast,
    /// A machine does not remember what it gave up.
    ForgetsWhatItGaveUp,
    /// A machine stops serving only when its release is done.
    WritesBeforeItStops,
    /// A release is carried out for the machine's id, whichever process runs under it by then.
    ReleasesForTheId,
    /// What a process reads of its machine's sessions counts, whichever process runs as the machine
    /// by then.
    ReadsForTheId,
    /// A process that took an id from another one serves, and proves releases, at once.
    SuccessorsDoNotWait,
    /// A process reads before the directory knows that it has taken the machine's id over, and
    /// serves from that when the directory does.
    ReadsBeforeItIsKnown,
    /// A clock stands still while its machine is suspended.
    ClockStandsStill,
    /// A row is deleted and inserted again, and its epochs begin anew.
    RowIsReplaced,
    /// A row that had an owner before there were epochs starts at zero.
    OwnedAtZero,
    /// A wait for one epoch counts for a later one.
    WaitsCarryOver,
    /// The cache forgets that it waits.
    ForgetsAWait,
    /// A row that moves to another partition begins at the first epoch.
    MovedRowsBeginAnew,
    /// And without the proof of the release before.
    MovedRowsLoseProofs,
    /// Reads of a standby, which may lag, count.
    StandbysAreRead,
    /// Reads count whichever owner the epoch is for.
    StampIsIgnored,
    /// A row whose owner changed without the triggers keeps its epoch when they are back.
    DriftKeepsTheEpoch,
    /// Such a row keeps its proof.
    DriftKeepsTheProof,
    /// A proof that was written without the triggers is kept when they are back.
    ProofsAheadAreKept,
    /// A release, or a drain, stops one layer of its process.
    StopsOneLayer,
    /// A request passes because it was decided that it may, however long ago.
    PassesAsDecided,
    /// A process says that it has left, and serves on.
    LeavesBeforeItStops,
    /// A process that leaves says that its successor need not wait, while it waits itself.
    LeavesForOthers,
    /// A process that puts its machine's deleted row back serves on.
    PutsBackAtOnce,
    /// Reads count while the machine's row is missing.
    ReadsWithoutARow,
    /// A machine that is silent is lost, whichever others are.
    SilenceAlone,
    /// Any machine that is heard is a witness of another one's silence.
    WitnessesMayBeNew,
    /// A machine has to be silent as long as a lost one to be no witness.
    GapsAreWhole,
    /// A machine is a witness of a silence that began after it was heard itself.
    WitnessesMayBeAsOld,
    /// Each beat is taken for the first one after a gap.
    NoneIsSteady,
}
