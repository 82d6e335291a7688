//! A node in memory.

use super::*;
use crate::{FlyReplay, MemoryDirectory, PathSegment};

#[tokio::test(start_paused = true)]
async fn a_draining_node_has_not_left() {
    let node = Node::builder(MemoryDirectory::new())
        .session(PathSegment::after("/session").unwrap())
        .machine(crate::MachineId::parse("me").unwrap())
        .replay(FlyReplay::new())
        .start()
        .await
        .unwrap();
    let reason = || match &*lock(&node.shared.state) {
        State::Ended(why) => why.clone(),
        State::Starting(_) | State::Running(_) => String::new(),
    };
    let ended = tokio::spawn(node.drained_on(std::future::ready(())));
    tokio::time::sleep(RunningNode::<MemoryDirectory>::DEFAULT_LINGER / 2).await;
    assert_eq!(reason(), "this machine is draining");
    ended.await.unwrap();
    assert_eq!(reason(), "this machine has left");
}
