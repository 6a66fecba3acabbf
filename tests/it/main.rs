//! The only harness of whole-program tests: one file a subject, what they share in `support`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod blobs;
mod caches;
mod checks;
mod command_flags;
mod command_line;
mod commits;
mod conformance;
mod contexts;
mod convert;
mod credentials;
mod dependencies;
mod determinism;
mod dockerfiles;
mod drafts;
mod durability;
mod golden;
mod hostile;
mod interop_base;
mod interop_foreign;
mod interop_outputs;
mod interop_schema;
mod interop_unpack;
mod layers;
mod members;
mod mutations;
mod outputs;
mod owners;
mod readings;
mod real;
mod recipe_errors;
mod registry_client;
mod registry_hostile;
mod registry_secrets;
mod registry_trust;
mod registry_upload;
mod rooms;
mod run;
mod sandbox;
mod scans;
mod serve;
mod serve_names;
mod serve_peers;
mod support;
mod users;
