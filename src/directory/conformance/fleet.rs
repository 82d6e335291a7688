//! The machines of a case.

use uuid::Uuid;

use super::{Harness, LOST_AFTER, Outcome, WITHIN, expect, id, number, ok};
use crate::{
    Beat, MachineInfo, Membership, Node, NodeState, OwnerStatus, Process, Registration, Session,
    SessionDirectory, SessionId, SessionLookup, clock::Clock,
};

/// The machines of a case.
pub(super) struct Fleet<H: Harness> {
    pub(super) harness: H,
}

/// One process of a machine.
pub(super) struct Member<H: Harness> {
    pub(super) directory: H::Directory,
    pub(super) node: Node,
    pub(super) me: Process,
}

impl<H: Harness> Fleet<H> {
    pub(super) async fn fresh() -> Self {
        Self {
            harness: H::fresh(LOST_AFTER).await,
        }
    }

    /// A process that has not registered.
    pub(super) async fn process(&self, machine: &str) -> Result<Member<H>, String> {
        let machine = id(machine)?;
        let directory = self.harness.process().await;
        let node = directory.node(&Node::new(machine.clone(), 100, Clock::start()));
        Ok(Member {
            directory,
            node,
            me: Process::new(machine, Uuid::from_u64_pair(number(), number())),
        })
    }

    /// A process that has registered and joined.
    pub(super) async fn member(&self, machine: &str) -> Result<Member<H>, String> {
        let member = self.process(machine).await?;
        member.join().await?;
        Ok(member)
    }

    pub(super) async fn session(&self, owner: Option<&str>) -> Result<SessionId, String> {
        let session = SessionId::new(Uuid::from_u64_pair(number(), number()));
        let owner = owner.map(id).transpose()?;
        self.harness.create(&session, owner).await;
        Ok(session)
    }

    pub(super) async fn assign(&self, session: &SessionId, owner: Option<&str>) -> Outcome {
        let owner = owner.map(id).transpose()?;
        self.harness.assign(session, owner).await;
        Ok(())
    }
}

impl<H: Harness> Member<H> {
    pub(super) async fn register(&self) -> Result<Registration, String> {
        let info = MachineInfo::default();
        ok(self.directory.register(&self.me, &info).await)
    }

    pub(super) async fn join(&self) -> Outcome {
        let registration = self.register().await?;
        self.node.registered_as(self.me.boot_id);
        expect(
            "the process is noted",
            self.directory.joined(&self.node),
            true,
        )?;
        match registration {
            Registration::First | Registration::Again => self.node.joined(),
            Registration::TookOver => self.node.joined_after_takeover(),
            Registration::Removed => return Err("the machine was declared gone".to_owned()),
        }
        Ok(())
    }

    pub(super) async fn beat(&self) -> Result<Beat, String> {
        let info = MachineInfo::default();
        ok(self.directory.beat(&self.me, &info, WITHIN).await)
    }

    pub(super) async fn drain(&self) -> Outcome {
        self.node.advance(NodeState::Draining);
        let info = MachineInfo::default();
        ok(self.directory.set_draining(&self.me, &info, WITHIN).await).map(drop)
    }

    pub(super) async fn leave(&self, clean: bool) -> Outcome {
        ok(self.directory.leave(&self.me, clean, WITHIN).await)
    }

    pub(super) async fn read(&self, session: &SessionId) -> Result<Session, String> {
        let read = ok(self.directory.session(session.clone()).await)?;
        read.ok_or_else(|| "the session is unknown".to_owned())
    }

    pub(super) async fn status(&self, session: &SessionId) -> Result<OwnerStatus, String> {
        Ok(self.read(session).await?.owner_status())
    }

    pub(super) async fn claim(&self, seen: Session) -> Result<Session, String> {
        Ok(self.claimed(seen).await?.session)
    }

    pub(super) async fn claimed(&self, seen: Session) -> Result<crate::directory::Claimed, String> {
        let machine = self.me.machine.clone();
        let claimed = ok(self.directory.claim(seen, machine).await)?;
        claimed.ok_or_else(|| "the session is unknown".to_owned())
    }
}
