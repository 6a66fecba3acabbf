//! The one harness of the tests that see cairn from outside, beside other people's programs.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod registry_client;
mod registry_hostile;
mod registry_trust;
mod registry_upload;
mod support;
