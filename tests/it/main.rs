//! The one harness of the tests that see cairn from outside, beside other people's programs.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod serve;
mod serve_names;
mod serve_peers;
mod support;
