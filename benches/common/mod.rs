//! What the benchmarks share: the layer as they build it, and tables of what they found.

// Every benchmark compiles this module and uses only its own part of it.
#![allow(dead_code)]
// A benchmark exports nothing; here `pub` marks what a file offers to the others.
#![allow(unreachable_pub)]
#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot run has to say why and stop"
)]

pub mod dice;
pub mod quartiles;
pub mod resident;
pub mod setup;
pub mod table;
pub mod together;
