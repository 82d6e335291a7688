//! Values with a name serialize as that name, which is the one in events and answers.

use serde::{Serialize, Serializer};

use crate::{CacheStatus, MachineId, NodeState, OwnerStatus, RejectionCode, Verdict};

macro_rules! serialize_by_name {
    ($($named:ty),*) => {
        $(
            impl Serialize for $named {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.as_str())
                }
            }
        )*
    };
}

serialize_by_name!(
    RejectionCode,
    MachineId,
    NodeState,
    OwnerStatus,
    CacheStatus,
    Verdict
);
