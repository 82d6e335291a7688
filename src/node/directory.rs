//! What a node needs of a directory.

use std::{error::Error, future::Future};

use crate::{
    CacheHandle, Feed, HealthCheck, LookupError, MachineId, Membership, MemoryDirectory,
    SessionDirectory, SessionLookup,
};

/// A directory that has all that a node needs.
pub trait NodeDirectory: SessionLookup + SessionDirectory + Membership + Clone {
    /// Checks that the directory is set up as this machine needs it. Nothing is checked by default.
    fn verify(&self, me: &MachineId) -> impl Future<Output = Result<(), Unfit>> + Send {
        let _ = me;
        std::future::ready(Ok(()))
    }

    /// Makes the cache forget sessions when they change, until what is returned is dropped. `None`, the
    /// default: the directory has no change feed, and a session is read again when it is too old.
    ///
    /// It connects in the background. An error is a wrong setting, with which the node does not start.
    fn follow(
        &self,
        cache: CacheHandle,
    ) -> Result<Option<Box<dyn HealthCheck>>, Box<dyn Error + Send + Sync>> {
        let _ = cache;
        Ok(None)
    }
}

impl NodeDirectory for MemoryDirectory {
    fn follow(
        &self,
        cache: CacheHandle,
    ) -> Result<Option<Box<dyn HealthCheck>>, Box<dyn Error + Send + Sync>> {
        let feed = Feed::builder(self.clone()).start(cache)?;
        Ok(Some(Box::new(feed)))
    }
}

/// Why a directory cannot be used.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It cannot be asked now.
    #[error(transparent)]
    Unreachable(#[from] LookupError),
    /// It is not set up as this machine needs it. Trying again does not help.
    #[error(transparent)]
    Misconfigured(Box<dyn Error + Send + Sync>),
}

crate::observe::debug_as_chain!(Unfit);
