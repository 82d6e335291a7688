//! How a process learns which machine it is, on each platform.
//!
//! An identity is asked once, when the layer is built. If it does not know, the build fails with
//! an error that names the variable to set.
//!
//! | platform | identity | reads | form | a restart in place |
//! | --- | --- | --- | --- | --- |
//! | Fly.io | [`FlyMachine`] | `FLY_MACHINE_ID` | `e2863555a91708` | keeps the id |
//! | Kubernetes | [`KubernetesPod`] | `POD_UID`, else `POD_NAME` | UUID, else a name | keeps the id |
//! | Amazon ECS | [`EcsTask`](#amazon-ecs-and-google-cloud-run) | the task metadata endpoint | 32 hexadecimal digits | keeps the id |
//! | Google Cloud Run | [`CloudRunInstance`](#amazon-ecs-and-google-cloud-run) | the metadata server | many hexadecimal digits | a new id |
//! | Azure Container Apps | [`AzureContainerApp`] | `CONTAINER_APP_REPLICA_NAME` | `app--rev-5d8f-x2x9z` | keeps the id |
//! | Nomad | [`NomadAllocation`] | `NOMAD_ALLOC_ID` | UUID | keeps the id |
//! | Cloud Foundry | [`CloudFoundryInstance`] | `CF_INSTANCE_GUID` | UUID and more | a new id |
//! | Railway | [`RailwayReplica`] | `RAILWAY_REPLICA_ID` | not documented | not documented |
//! | Render | [`RenderInstance`] | `RENDER_INSTANCE_ID` | `srv-…-x2x9z` | not documented |
//! | Heroku | [`HerokuDyno`] | `HEROKU_DYNO_ID` | UUID | not documented |
//! | any of these | [`detect`] | whichever variable is there | | |
//! | others | [`EnvironmentVariable`], or a [`MachineId`](crate::MachineId) | what you name | | |
//!
//! # What an id promises
//! No two machines that run at once may share an id, or both serve the sessions of one. That is why
//! names such as `web.1` and allocation indexes are not read, and `HOSTNAME` neither: it is
//! the node's name, or a fixed one, in too many set-ups.
//!
//! Where a restart in place keeps the id, what was in memory is lost while the directory still
//! names this machine as the owner. The application then says that it holds no such session, with
//! [`SessionAbsent`](crate::SessionAbsent), or assigns its sessions anew when it starts.
//!
//! # Amazon ECS and Google Cloud Run
//! These tell the id only over the network. With the feature `metadata` there are `EcsTask` and
//! `CloudRunInstance`, whose `discover()` asks once, for at most two seconds, on any runtime or
//! none.

#[cfg(feature = "metadata")]
mod cloud_run;
mod detect;
#[cfg(feature = "metadata")]
mod ecs;
mod environment;
#[cfg(feature = "metadata")]
mod metadata;
mod platform;

#[cfg(feature = "metadata")]
pub use cloud_run::CloudRunInstance;
pub use detect::{Detect, Found, detect};
#[cfg(feature = "metadata")]
pub use ecs::EcsTask;
pub use environment::EnvironmentVariable;
pub use platform::{
    AzureContainerApp, CloudFoundryInstance, FlyMachine, HerokuDyno, KubernetesPod,
    NomadAllocation, RailwayReplica, RenderInstance,
};
