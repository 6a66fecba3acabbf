//! What the tests share: programs that may be missing, a served store, plain HTTP.

pub mod http;
pub mod programs;
pub mod served;

pub use programs::require;
