//! `cairn.lock`: what every name of a recipe that can move meant when it was locked.
//!
//! In: what was resolved and recorded, or a lock's text. Out: [`Lock`], and its text. Pure: never
//! reads a file, a network or a clock.

pub mod exchange;
pub mod package;

pub use exchange::{Body, Exchange, NO_ANSWER, Record, Request, Response};
pub use package::{Package, PackageSet};
