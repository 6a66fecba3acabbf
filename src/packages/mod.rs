//! Packages of Debian and its kin: what there is, what goes together, in which order.
//!
//! In: indexes of archives, a dpkg status, what a recipe asks for. Out: values. Pure: never reads
//! a file, a network or a clock.

pub mod control;
pub mod index;
pub mod order;
pub mod relation;
pub mod solve;
pub mod sources;
pub mod unsolvable;
pub mod version;

pub use index::Index;
pub use relation::Relation;
pub use solve::{Question, Unsolvable, solve};
pub use version::Version;
