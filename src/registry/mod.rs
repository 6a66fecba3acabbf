//! Registries: pulling and pushing by the distribution-spec
//! (github.com/opencontainers/distribution-spec, v1.1), and finding out how.
//!
//! In: references, the store, and files that say how a registry is reached. Out: verified blobs
//! and documents in the store, or in a registry. Never: a byte that wasn't checked against its
//! digest, a secret in a message, a decision about what is to be pulled.
//!
//! ```text
//! files ─▶ registries_conf, hosts_toml, credentials     what the files say: text to values
//!                  └─▶ hosts                            a reference to the hosts to ask
//! client ─▶ resolve, pull, push, upload                 what is done
//!                  └─▶ link ─▶ connection, auth, retry  how one host is spoken to
//! ```

pub mod challenge;
pub mod client;
pub mod credentials;
pub mod error;
pub mod files;
pub mod hosts;
pub mod hosts_toml;
pub mod proxies;
pub mod registries_conf;
pub mod resolve;
pub mod retry;
pub mod server;

mod auth;
mod connection;
mod link;
mod pull;
mod push;
mod referrers;
mod tasks;
mod upload;

pub use client::{Client, Settings};
pub use error::Error;
pub use files::Paths;
pub use resolve::Resolved;
