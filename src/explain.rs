//! Explains why a request is answered as it is: the decision with all that it depends on.
//!
//! ```
//! use http::Request;
//! use tower_ownership::{
//!     Finding, FlyReplay, MachineId, MemoryDirectory, OwnershipLayer, PathSegment, Presence, Session,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = MemoryDirectory::new();
//! let id = "807efe44-d63e-4a24-88f5-dbe96112830a".parse()?;
//! let owner = "e2863555a91708".parse()?;
//! sessions.insert(Session::owned_by(id, owner).with_presence(Presence::NeverSeen));
//! let layer = OwnershipLayer::builder(sessions)
//!     .session(PathSegment::after("/session")?)
//!     .machine("56837ddda10348".parse::<MachineId>()?)
//!     .replay(FlyReplay::new())
//!     .build()?;
//!
//! let (head, ()) = Request::get(format!("/session/{id}/page")).body(())?.into_parts();
//! let explanation = layer.explain(&head).await;
//! assert_eq!(explanation.finding, Finding::OwnerNeverSeen);
//! println!("{explanation}"); // for a terminal
//! let json = serde_json::to_value(&explanation)?; // for a program
//! assert_eq!(json["directory"]["session"]["owner"], "e2863555a91708");
//! assert_eq!(json["session"]["id"], "807efe44…");
//! # Ok(())
//! # }
//! ```
//!
//! # Only for operators
//! An explanation names machines, addresses and the database's errors, and each one costs the
//! directory a lookup that no other request shares. Mount it where only operators get, or call it
//! from a command. Session ids are cut to their first eight digits, also where a header or an error
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
mod names;
mod shown;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::request::Parts;

pub use explanation::Explanation;

use examine::Examined;

use crate::{OwnershipLayer, policy::Policy};

impl OwnershipLayer {
    /// Says what this machine would do with a request, and why, without doing it; see the
    /// [module](crate::explain).
    ///
    /// `head` is best the head of the request in question as it arrived here, with the headers that
    /// the proxy added. Of one that is written by hand it cannot be told how it came.
    pub fn explain<'a>(&'a self, head: &'a Parts) -> Explain<'a> {
        Explain {
            policy: self.policy(),
            head,
            whole: false,
            examining: None,
        }
    }
}

/// The making of an [`Explanation`]. It takes no longer than the layer's lookup timeout.
#[must_use = "futures do nothing unless polled"]
pub struct Explain<'a> {
    policy: &'a Policy,
    head: &'a Parts,
    whole: bool,
    examining: Option<Pin<Box<dyn Future<Output = Explanation> + Send + 'a>>>,
}

impl Explain<'_> {
    /// Whether the session's id is shown whole; only its beginning by default, since the whole id
    /// is often all that a client needs to be let in. What is said after the first poll is late.
    pub fn show_session_id(mut self, whole: bool) -> Self {
        self.whole = whole;
        self
    }
}

impl Future for Explain<'_> {
    type Output = Explanation;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Explanation> {
        let (policy, head, whole) = (self.policy, self.head, self.whole);
        self.examining
            .get_or_insert_with(|| {
                let examined = Examined {
                    policy,
                    head,
                    whole,
                };
                Box::pin(async move { examined.explain().await })
            })
            .as_mut()
            .poll(cx)
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
