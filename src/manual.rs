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

/// A section with a picture that is part of the page, since no address of a file is known where this is read.
macro_rules! picture {
    ($title:literal, $caption:literal, $file:literal) => {
        concat!(
            "\n\n# ",
            $title,
            "\n\n",
            $caption,
            "\n\n<div style=\"overflow-x: auto\">\n",
            include_str!($file),
            "\n</div>\n"
        )
    };
}

#[doc = include_str!("manual/comparison.md")]
#[doc = picture!(
    "What it costs",
    "What a request costs, and what misses and changes cost.",
    "../benches/results.svg"
)]
pub mod comparison {}
#[doc = include_str!("manual/database_sessions.md")]
pub mod database_sessions {}
#[doc = include_str!("manual/defaults.md")]
pub mod defaults {}
#[doc = include_str!("manual/getting_started.md")]
#[doc = picture!(
    "What the incident's example shows",
    "`cargo run --example incident --features testing,doctor`: the wrong machine answers 404 without the layer. With it, the request is replayed to the owner.",
    "../examples/incident/incident.svg"
)]
pub mod getting_started {}
#[doc = include_str!("manual/guarantees.md")]
pub mod guarantees {}
#[doc = include_str!("manual/mcp.md")]
pub mod mcp {}
#[doc = include_str!("manual/migrating.md")]
pub mod migrating {}
#[doc = include_str!("manual/operations.md")]
#[doc = picture!(
    "What the doctor shows",
    "Its checks of the incident, and its diagnosis.",
    "../examples/incident/doctor.svg"
)]
pub mod operations {}
#[doc = include_str!("manual/rejections.md")]
#[doc = include_str!("manual/pictures/pages.md")]
pub mod rejections {}
#[doc = include_str!("manual/rooms.md")]
pub mod rooms {}
#[doc = include_str!("manual/subdomains.md")]
pub mod subdomains {}
