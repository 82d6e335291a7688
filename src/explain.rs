//! Explains why a request is answered as it is: the decision with all that it depends on.
//!
//! ```
//! use http::Request;
//! use tower_ownership::{
//!     FlyReplay, MachineId, MemoryDirectory, OwnerStatus, OwnershipLayer, PathSegment,
//!     Session, explain::Finding,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = MemoryDirectory::new();
//! let id = "807efe44-d63e-4a24-88f5-dbe96112830a".parse()?;
//! let owner = "e2863555a91708".parse()?;
//! sessions.insert(Session::owned_by(id, owner).with_owner_status(OwnerStatus::NeverSeen));
//! let layer = OwnershipLayer::builder(sessions)
//!     .session(PathSegment::after("/session")?)
//!     .machine("56837ddda10348".parse::<MachineId>()?)
//!     .replay(FlyReplay::new())
//!     .build()?;
//!
//! let page = "/session/807efe44-d63e-4a24-88f5-dbe96112830a/page";
//! let (head, ()) = Request::get(page).body(())?.into_parts();
//! let explanation = layer.explain(&head).await;
//! assert_eq!(explanation.finding, Finding::OwnerNeverSeen);
//! println!("{explanation}"); // for a terminal
//! let json = serde_json::to_value(&explanation)?; // for a program
//! assert_eq!(json["directory"]["session"]["owner"], "e2863555a91708");
//! assert_eq!(json["session"]["id"], "…dbe96112830a");
//! # Ok(())
//! # }
//! ```
//!
//! # Only for operators
//! An explanation names machines, addresses and the database's errors, and each one costs the
//! directory a lookup that no other request shares, or one for each of several sessions that the
//! request names. Mount it where only operators get, or call it
//! from a command. Session ids are cut to their end, also where a header or an error
//! holds one, unless [asked for](Explain::show_session_id).
//!
//! # What it does not do
//! Explaining serves nothing, sends nothing and claims nothing; the cache, the rights of this
//! machine and its state stay as they are, and there is no event, metric or call of
//! [`on_verdict`](crate::OwnershipLayerBuilder::on_verdict). It asks the directory, and the
//! application's own rules (the guard, and who may claim), for what they say of this head.

mod examine;
mod explanation;
mod find;
mod looked;
mod names;
mod notes;
mod read;
mod shown;
mod taken_out;

use std::{fmt, future::Future, pin::Pin};

use http::request::Parts;

pub use crate::finding::{Finding, Severity};
pub use explanation::Explanation;

use crate::{OwnershipLayer, policy::Policy};

impl<F> OwnershipLayer<F> {
    /// Explains what this machine would do with a request, and why, without doing it; see the
    /// [module](crate::explain).
    ///
    /// `head` is best the head of the request in question as it arrived here, with the headers that
    /// the proxy added: a head that is written by hand does not show how a request came.
    pub fn explain<'a>(&'a self, head: &'a Parts) -> Explain<'a> {
        Explain {
            policy: self.policy(),
            head,
            whole: false,
        }
    }
}

/// Makes an [`Explanation`] when it is awaited, within the layer's lookup timeout.
#[must_use = "nothing is explained unless it is awaited"]
#[derive(Clone, Copy)]
pub struct Explain<'a> {
    policy: &'a Policy,
    head: &'a Parts,
    whole: bool,
}

impl Explain<'_> {
    /// Whether the session's id is shown whole; only its beginning by default, since the whole id
    /// is often all that a client needs to be let in.
    pub fn show_session_id(self, whole: bool) -> Self {
        Self { whole, ..self }
    }
}

impl<'a> IntoFuture for Explain<'a> {
    type Output = Explanation;
    type IntoFuture = Pin<Box<dyn Future<Output = Explanation> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            policy,
            head,
            whole,
        } = self;
        Box::pin(taken_out::explain(policy, head, whole))
    }
}

impl fmt::Debug for Explain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explain")
            .field("machine", &self.policy.machine)
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}
