//! What the tests share: programs that may be missing, registries good and bad, small images.

pub mod programs;
pub mod registry;
pub mod rude;

pub use programs::require;
