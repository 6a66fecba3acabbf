//! A step's own randomness: what its programs take for chance.
//!
//! In: a [`Seed`], which is the step's alone. Out: a handler for the step's supervisor, by which
//! getrandom(2), `/dev/random`, `/dev/urandom` and `/proc/sys/kernel/random/uuid` give the same bytes
//! in every run; and the 16 bytes that the kernel leaves each program on its stack (`AT_RANDOM`),
//! which are set where its clock is.
//!
//! **The order.** The n-th process of a step that runs one command line reads the n-th stream of that
//! command line ([`streams`]): so names, salts and hash seeds stay the same whatever else runs beside
//! it, as they would not by process numbers. Within a process, its threads share one stream, in the
//! order in which they ask.
//!
//! What is made of it is known to whoever knows the step's key: keys and passwords that a step makes
//! are no secrets. What still tells chance: a processor's own instructions (`rdrand`), addresses where
//! the kernel chooses them, and races.

mod calls;
mod names;
mod pool;
mod streams;

pub(super) use calls::{Random, command_line, is_there};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use streams::{Stream, Streams};

/// What all randomness of a step follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Seed(pub [u8; 32]);

/// Streams that several handlers read from.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<Streams>>);

impl Shared {
    pub(super) fn new(seed: Seed) -> Shared {
        Shared(Arc::new(Mutex::new(Streams::new(seed))))
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands at `/dev/random` and `/dev/urandom` for who opens them in a way that cairn doesn't see:
/// the same bytes for each.
pub(super) fn static_file(seed: Seed) -> Vec<u8> {
    let mut bytes = vec![0; STATIC];
    Stream::of(&seed, b"file", b"", 0).fill(&mut bytes);
    bytes
}

/// What stands at `/proc/sys/kernel/random/uuid` for the same.
pub(super) fn static_uuid(seed: Seed) -> String {
    calls::uuid_text(Stream::of(&seed, b"uuid", b"", 0).take())
}

/// Bytes of it.
const STATIC: usize = 64 << 10;
