//! A request for a session is served by the machine that owns the session.

mod address;
mod extract;
pub mod identity;
mod lookup;
mod machine;
mod rejection;
mod render;
mod replay;
mod session;
mod verdict;

pub use address::{Address, InvalidAddress};
pub use extract::{
    Cookie, ExtractSession, FirstOf, Header, HostLabel, InvalidExtractor, PathSegment, Query,
};
pub use lookup::{LookupError, LookupErrorKind, LookupFn, MemoryLookup, SessionLookup, lookup_fn};
pub use machine::{IdentityError, InvalidMachineId, MachineId, MachineIdentity};
pub use rejection::{Code, Rejection};
pub use render::{DefaultRenderer, Form, Reader, Render};
pub use replay::{
    Fallback, FlyReplay, Handover, InvalidRedirect, InvalidReplay, NotReplayable, Redirect, Replay,
    ReplayCache,
};
pub use session::{
    MalformedSession, Owned, Session, SessionAbsent, SessionId, SessionStatus, ShortSessionId,
};
pub use verdict::{Arrival, FailureReason, Record, ReplayFailure, Verdict, decide};
