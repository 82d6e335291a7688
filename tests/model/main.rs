//! Every order in which a small fleet can do things: two machines never serve one session.
//!
//! [`stateright`] goes through all states of a model of the protocol. The rule in it is the crate's
//! own code (`src/ownership/lease.rs`); the rest is a model of the layer, of the directory and of
//! what can happen to them. `--nocapture` shows how many states there were.
//!
//! # What can happen
//! A machine sends a read or a claim; later it takes effect in the directory; later still the
//! answer arrives, or does not. Machines pause, crash, restart under the same id with no memory,
//! are told of changes or are not, give sessions up one by one, or drain. The orchestrator writes
//! any owner, or none, at any time. A write that was sent is carried out whenever it likes, if the
//! row is then as it asks for, also when its sender has long given up on it or is gone.
//!
//! Any machine may be taken for lost and be relieved of what it owns: presence keeps no two machines
//! apart, only the rule does. What presence is for, that no session of a healthy machine is taken, is
//! checked by itself, in `beats`.
//!
//! What happens seldom is in fleets of its own (`World`), so that each stays small enough to go
//! through all of its states: two layers in a process, rows that move between partitions, a standby,
//! triggers that are missing, a hook that takes its time, terms that are evicted, processes that
//! leave, and a machine's row that is deleted.
//!
//! # What is taken for granted
//! - Clocks run, and equally fast; none shows the same time as another. What they may be wrong by
//!   is what the slack of `LeaseTtl` is for, and no matter of order.
//! - A row is one row for good: one that is deleted and inserted again starts its epochs anew.
//! - A read of the primary shows all that was committed before it was sent: no commit is lost.
//! - A handler runs in no time. One that is stopped in the middle of it is what epochs are for.
//! - Two processes run under one id only in `twins` and its like, at F = 1. None begins while the row
//!   of its machine is deleted.
//! - While the triggers are missing, no machine drains or crashes.
//!
//! # Which claims are checked where
//! | | |
//! | --- | --- |
//! | `safety` | no process serves while, or at an earlier epoch than, another one does |
//! | `mistakes` | the table of rules: each one is needed, and for what |
//! | `beats` | no session of a healthy machine is taken, and a dead one is found out |
//! | `stories` | the model lives through what a fleet does |
//! | `liveness` | a session is served again, and within which time |
//! | `plain` | what is left out to keep the model finite is not missed |
//! | `twins` | two processes under one id |
//! | `table` | the threads of one process: what a reader of the cache's table finds beside a writer |
#![allow(clippy::unwrap_used)] // Helpers are tests, too.

mod action;
mod beats;
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
mod table;
mod twins;
mod view;
mod world;

use table::random;
