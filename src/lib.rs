//! A request for a session is served by the machine that owns the session.

mod address;
mod arrival;
mod extract;
mod future;
pub mod identity;
mod layer;
mod lookup;
mod machine;
mod observe;
mod policy;
mod rejection;
mod render;
mod replay;
mod service;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod verdict;

pub use address::{Address, InvalidAddress};
pub use arrival::{Arrival, FailureReason, ReplayFailure};
pub use extract::{
    Cookie, ExtractSession, FirstOf, Header, HostLabel, InvalidExtractor, PathSegment, Query,
};
pub use future::{ResponseBody, ResponseFuture};
pub use identity::{FlyMachine, detect};
pub use layer::{BuildError, OwnershipLayer, OwnershipLayerBuilder};
#[cfg(feature = "postgres")]
pub use lookup::postgres::{
    PostgresConfigError, PostgresFault, PostgresLookup, PostgresLookupBuilder, PostgresSource,
    PostgresVerified, PostgresVerifyError, PostgresWarning,
};
pub use lookup::{LookupError, LookupErrorKind, LookupFn, MemoryLookup, SessionLookup, lookup_fn};
pub use machine::{IdentityError, InvalidMachineId, MachineId, MachineIdentity};
pub use observe::{Observe, Observed};
pub use rejection::{Code, Rejection};
pub use render::{DefaultRenderer, Form, Reader, Render};
pub use replay::{
    Fallback, FlyReplay, Handover, InvalidRedirect, InvalidReplay, NotReplayable, Redirect, Replay,
    ReplayCache,
};
pub use service::Ownership;
pub use session::{
    MalformedSession, Owned, Session, SessionAbsent, SessionId, SessionStatus, ShortSessionId,
};
pub use verdict::{Record, Verdict, decide};
