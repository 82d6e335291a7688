//! One session, the machines it may belong to, and a directory that knows it.

use tower_ownership::{MachineId, MemoryDirectory, Session, SessionId, session::SessionIds};

pub const SESSION: &str = "807efe44-d63e-4a24-88f5-dbe96112830a";
/// The machine whose layer is tested.
pub const ME: &str = "56837ddda10348";
/// Another machine, which owns the session.
pub const OWNER: &str = "e2863555a91708";

pub fn id() -> SessionId {
    SESSION.parse().unwrap()
}

pub fn machine(name: &str) -> MachineId {
    name.parse().unwrap()
}

/// A directory of one session.
pub fn directory(session: Session) -> MemoryDirectory {
    let sessions = MemoryDirectory::new().for_ids(SessionIds::uuid());
    sessions.insert(session);
    sessions
}

/// The same, where the session is active and this machine's.
pub fn owned_by(owner: &str) -> MemoryDirectory {
    directory(Session::owned_by(id(), machine(owner)))
}
