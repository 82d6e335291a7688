//! Ways to get the protocol wrong, and things it cannot bear.

/// One thing that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// The wait is one tick shorter than the time for which a read is relied on.
    WaitsLess,
    /// Nobody waits.
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
}
