//! Dockerfiles.
//!
//! In: a Dockerfile's text. Out: its syntax tree ([`parse`]), every node with its place, or all
//! its problems. The language is that of docker/dockerfile 1.26
//! (docs.docker.com/reference/dockerfile).
//!
//! Pure, in two halves: text to tree needs nothing else; tree to plan needs the configs of the
//! base images, whose environments and triggers reach the stages above them.
//!
//! On the way to the tree: `lines` joins what goes on and cuts out here-documents (`heredoc`) and
//! directives (`directive`); `joined` knows the way back to the file; `words` takes an instruction
//! apart, and `instruction`, `transfer`, `healthcheck` and `flag` say what it means. Variables are
//! another matter: [`expand`], and [`mount`], whose options have their own.

pub mod build_argument;
pub mod check;
mod csv;
mod directive;
pub mod expand;
mod flag;
mod healthcheck;
mod heredoc;
mod instruction;
mod joined;
mod lines;
pub mod lower;
pub mod mount;
pub mod outline;
mod parse;
pub mod syntax;
#[cfg(test)]
mod tests;
mod transfer;
mod words;

pub use lower::{BaseConfig, BaseQuestion, Bases, StageFacts, bases, plan, stages};

use super::{Problem, Source};

/// Largest file in bytes, for [`Source::new`].
pub const LARGEST: usize = 1 << 20;

/// The tree of a Dockerfile, or everything that is wrong with it, sorted by place.
pub fn parse(source: &Source) -> Result<syntax::Dockerfile, Vec<Problem>> {
    parse::file(source.text())
}

/// What an `ONBUILD` trigger of a base image says; spans are bytes of `text`.
pub fn trigger(text: &str) -> Result<syntax::Instruction, Vec<Problem>> {
    parse::trigger(text)
}
