//! The manual: what one wants to know beside the reference.
//!
//! | page | for whom | what it answers |
//! | --- | --- | --- |
//! | [`getting_started`] | who begins | Fly.io, Kubernetes, ECS, machines of your own: from nothing to a deployment that was seen to work |
//! | [`mcp`] | who has an MCP server in several replicas | sessions that live in memory, and what the official clients do at each loss |
//! | [`rooms`] | who has named rooms over WebSockets | ids that are names, created in a response, on one machine only |
//! | [`subdomains`] | who has previews on sub-domains | the id in a host's label, with a port beside it |
//! | [`database_sessions`] | who loads sessions from a database | claiming, taking over, fencing what is written |
//! | [`migrating`] | who has a `fly-replay` handler | the way to the layer, in steps that can be taken back |
//! | [`rejections`] | a reader of a code | each refusal: what the client sees, why, and what to do |
//! | [`operations`] | who is on call | from a symptom to a command; draining, the lease TTL, machines that are gone, migrations, failover |
//! | [`defaults`] | who wants to change one | each default with its reason |
//! | [`guarantees`] | who relies on them | what is promised, under which assumptions, and what it costs in seconds |
//! | [`comparison`] | who decides | what else there is, and when not to use this |
//!
//! Pages of documentation, and nothing else; they exist only where documentation is made.

#[doc = include_str!("manual/comparison.md")]
pub mod comparison {}
#[doc = include_str!("manual/database_sessions.md")]
pub mod database_sessions {}
#[doc = include_str!("manual/defaults.md")]
pub mod defaults {}
#[doc = include_str!("manual/getting_started.md")]
pub mod getting_started {}
#[doc = include_str!("manual/guarantees.md")]
pub mod guarantees {}
#[doc = include_str!("manual/mcp.md")]
pub mod mcp {}
#[doc = include_str!("manual/migrating.md")]
pub mod migrating {}
#[doc = include_str!("manual/operations.md")]
pub mod operations {}
#[doc = include_str!("manual/rejections.md")]
pub mod rejections {}
#[doc = include_str!("manual/rooms.md")]
pub mod rooms {}
#[doc = include_str!("manual/subdomains.md")]
pub mod subdomains {}
