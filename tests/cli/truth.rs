//! One fault after another, in real processes with a real database behind the edge: whether the
//! log, the metrics and the command `ownership doctor` each say the truth of it, and the same.

mod database;
mod denied;
mod doctor;
mod faults;
mod identity;
mod log;
mod machine;
mod metrics;
mod owner;
mod place;
mod session;
mod signals;
mod table;
mod way;
