//! Every order in which a small fleet can do things: two machines never serve one session.
//!
//! [`stateright`] goes through all states of a model of the protocol. The rule in it is the crate's
//! own code (`Tenure`, `Right`, `Bound`); the rest is a model of the layer, of the directory and of
//! what can happen to them. `--nocapture` shows how many states there were.
//!
//! # What can happen
//! A machine sends a read or a claim; later it takes effect in the directory; later still the
//! answer arrives, or does not. Machines pause, crash, restart under the same id with no memory,
//! are told of changes or are not, give sessions up one by one, or drain. The orchestrator writes
//! any owner, or none, at any time. A write that was sent is carried out whenever it likes, if the
//! row is then as it asks for, also when its sender has long given up on it or is gone.
//!
//! Anybody may be taken for lost and be relieved of what it owns: nothing about presence keeps two
//! machines apart, only the rule does.
//!
//! # What is taken for granted
//! - Clocks run, and equally fast; none shows the same time as another. What they may be wrong by
//!   is what `Bound`'s slack is for, and no matter of order.
//! - A row is one row for good: who deletes it and inserts it again starts its epochs anew.
//! - A read shows all that was committed before it was sent: no replica, no commit that is lost.
//! - A process serves in no time. One that is stopped in the middle of it is what epochs are for.
//! - No two processes run under one id, but in `twins`: an old one and its successor, at F = 1.
//! - No process leaves and says so; that its successor then has nobody to wait for is tested with a
//!   real directory.
//!
//! # Which claims are checked where
//! | | |
//! | --- | --- |
//! | `safety` | nobody serves while, or at an earlier epoch than, somebody else does |
//! | `mistakes` | each part of the rule is needed, and so is most of what is taken for granted |
//! | `stories` | the model lives through what a fleet does |
//! | `liveness` | a session is served again, and within which time |
//! | `plain` | what is left out to keep the model finite is not missed |
//! | `twins` | two processes under one id |
#![allow(clippy::unwrap_used)] // Helpers are tests, too.

mod action;
mod choices;
mod fleet;
mod late;
mod liveness;
mod mistake;
mod mistakes;
mod plain;
mod process;
mod prompt;
mod report;
mod row;
mod rule;
mod safety;
mod settle;
mod share;
mod state;
mod step;
mod stories;
mod twins;
mod view;
