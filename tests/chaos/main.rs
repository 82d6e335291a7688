//! Chaos: containers that are killed, stopped, cut off and moved about, under load, for minutes.
//!
//! At least four containers run as processes, each with its own way to one `PostgreSQL`, behind the
//! edge. Clients ask, write and listen, for ever new sessions and for old ones, and every few
//! seconds something goes wrong ([`fault::Fault`]). Everything that is seen goes into a
//! [`history::History`], what the database itself wrote down of every change among it, and in the
//! end [`check`](check::check) goes through all of it by the rules of [`check::Rule`].
//!
//! Faults, their times and whom they concern come from a seed, and so do the choices of the load;
//! how fast it all runs is the host's. A run takes two minutes and says what it came to:
//!
//! ```sh
//! CHAOS_SEED=7 CHAOS_SECONDS=600 cargo test --all-features --test chaos
//! ```
//!
//! Bounds are the configured ones and some slack. Where nothing at all ran for a while on a busy
//! host, which a ticker notices, they are wider by that, and the report says by how much.
#![cfg(all(feature = "testing", feature = "postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::doc_markdown,
    unreachable_pub,
    missing_debug_implementations,
    missing_docs
)]
#[path = "../support/mod.rs"]
mod support;

#[path = "../fleet/process.rs"]
#[allow(dead_code, reason = "the containers' own tests use the rest")]
mod process;

mod check;
mod client;
mod clock;
mod evidence;
mod fault;
mod fleet;
mod follower;
mod ground;
mod history;
mod listener;
mod load;
mod machine;
mod orchestrator;
mod plan;
mod recorder;
mod report;
mod run;
mod running;
mod settings;
mod stalls;
mod stream;
mod troubles;

use check::check;
use plan::Plan;
use report::{report, say};
use run::Run;
use settings::Settings;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_makes_two_machines_serve_a_session_and_all_of_them_heal() {
    let settings = Settings::from_environment();
    let command = settings.command();
    say(&format!("\n        chaos: {command}\n"));
    let plan = Plan::of(&settings);
    let run = Run::of(settings, &plan).await;
    let violations = check(&run.history);
    say(&format!("\n{}\n", report(&run.history, &plan, &violations)));
    if !violations.is_empty() {
        let kept = evidence::keep(&run, &violations);
        let first: Vec<String> = violations
            .iter()
            .take(20)
            .map(ToString::to_string)
            .collect();
        panic!(
            "{} rules broken. Everything that was seen is in {}. Again by:\n{command}\n\n{}",
            violations.len(),
            kept.display(),
            first.join("\n")
        );
    }
}
