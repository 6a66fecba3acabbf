//! (room)

pub mod server;
