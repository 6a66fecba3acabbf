//! What a step did on the network, as it happens.
//!
//! In: the forwarder's work. Out: values for the caller, who shows or records them.

use std::net::SocketAddr;

/// Something that a step did on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It asked for a name: the first question of a DNS message.
    Asked {
        /// As it was asked, without the last dot.
        name: String,
    },
    /// A connection stands.
    Connected {
        /// Where the step meant to go.
        destination: SocketAddr,
    },
    /// A connection was not made.
    Refused {
        /// Where the step meant to go.
        destination: SocketAddr,
        /// Why, for people.
        reason: String,
    },
    /// A connection has ended.
    Closed {
        /// Where the step meant to go.
        destination: SocketAddr,
        /// Bytes that the step sent.
        sent: u64,
        /// Bytes that the step received.
        received: u64,
    },
}
