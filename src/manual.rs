//! The manual: what one wants to know beside the reference.
//!
//! Pages of documentation, and nothing else; they exist only where documentation is made.

#[doc = include_str!("manual/guarantees.md")]
pub mod guarantees {}
