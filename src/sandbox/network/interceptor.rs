//! Somebody who takes what a step says to the network, in place of the world.
//!
//! In: the step's connections and questions, as the forwarder accepts them. Out: whatever the
//! interceptor says. Nothing is dialled or asked outside for a step that has one.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;

/// Takes the answer to a DNS question; one that is dropped was no answer.
pub type Answer = Box<dyn FnOnce(Vec<u8>) + Send>;

/// Takes a step's network. It is called on the forwarder's own thread, which carries nothing
/// meanwhile: none of it may wait.
pub trait Interceptor: Send + Sync {
    /// What connect(2) to `destination` is told, before there is a connection. A program that
    /// connects in another way isn't asked about.
    ///
    /// # Errors
    /// Why the step is refused.
    fn admits(&self, destination: SocketAddr) -> io::Result<()>;

    /// Takes a connection to `destination`; the stream doesn't block. DNS over TCP comes here, too
    /// (port 53).
    fn connection(&self, stream: TcpStream, destination: SocketAddr);

    /// Takes a DNS message that asks something.
    fn question(&self, question: Vec<u8>, answer: Answer);

    /// Becomes readable, or is hung up, when the step is to be ended at once.
    fn ended(&self) -> BorrowedFd<'_>;
}
