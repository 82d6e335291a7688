//! Chaos: containers that are killed, stopped, cut off and moved about, under load, for minutes.
//!
//! At least four containers run as processes, each with its own way to one `PostgreSQL`, behind the
//! edge, which replays what lands on the wrong one. Or, with `CHAOS_HANDOVER=forward`, the edge lets requests land
//! and no more, and containers carry them to each other, by ways that can be cut, too. Clients ask, write and listen, for ever new sessions and for old ones, and every few
//! seconds something goes wrong ([`fault::Fault`]). Everything that is seen goes into a
//! [`history::History`], what the database itself wrote down of every change among it, and in the
//! end [`check`](check::check) goes through all of it by the rules of [`check::Rule`].
//!
//! Faults, their times and whom they concern come from a seed, and so do the choices of the load;
//! how fast it all runs is the host's. A run takes a minute and says what it came to; each seed runs with
//! the edge and with `forward`, unless one is asked for:
//!
//! ```sh
//! CHAOS_SEED=7 CHAOS_SECONDS=600 cargo test --all-features --test chaos no_fault
//! CHAOS_HANDOVER=forward CHAOS_SEEDS=1-20 cargo test --all-features --test chaos no_fault
//! ```
//!
//! Bounds are the configured ones and some slack. Where nothing at all ran for a while on a busy
//! host, which a ticker notices, they are wider by that, and the report says by how much.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::doc_markdown,
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    reason = "a test exports nothing, and PostgreSQL and PgBouncer are names"
)]

#[path = "../support/mod.rs"]
mod support;

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
mod locks;
mod machine;
mod orchestrator;
mod plan;
mod recorder;
mod report;
mod run;
mod running;
mod settings;
mod slow;
mod stalls;
mod stream;
mod troubles;

use check::check;
use plan::Plan;
use report::{explanation, report, say};
use run::Run;
use settings::Settings;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_makes_two_machines_serve_a_session_and_all_of_them_heal() {
    let mut failures = Vec::new();
    for settings in Settings::from_environment() {
        let seed = settings.seed;
        if let Some(failure) = failure_of(settings).await {
            // At once, as a range of seeds takes long.
            say(&format!("\n{failure}\n"));
            failures.push(seed);
        }
    }
    assert!(
        failures.is_empty(),
        "rules were broken, as told above, by the seeds {failures:?}"
    );
}

/// Why a run of these settings does not hold, in short.
async fn failure_of(settings: Settings) -> Option<String> {
    let command = settings.command();
    say(&format!("\n        chaos: {command}\n"));
    let plan = Plan::of(&settings);
    let run = Run::of(settings, &plan).await;
    let violations = check(&run.history);
    say(&format!("\n{}\n", report(&run.history, &plan, &violations)));
    if violations.is_empty() {
        return None;
    }
    let kept = evidence::keep(&run, &violations);
    let failure = format!(
        "{} rules broken. Everything that was seen is in {}. Again by:\n{command}\n\n{}",
        violations.len(),
        kept.display(),
        explanation(&violations)
    );
    Some(failure)
}
