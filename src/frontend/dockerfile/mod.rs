//! Dockerfiles.
//!
//! In: a Dockerfile's text. Out: its syntax tree ([`syntax::Dockerfile`]), every node with its
//! place, or all its problems. The language is that of docker/dockerfile 1.26
//! (docs.docker.com/reference/dockerfile).
//!
//! Pure, in two halves: text to tree needs nothing else; tree to plan needs the configs of the
//! base images, whose environments and triggers reach the stages above them.

pub mod syntax;
