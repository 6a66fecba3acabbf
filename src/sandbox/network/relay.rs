//! Copying between two connections, until both are at their ends.
//!
//! In: the step's side, the world's side. Out: the same bytes on the other side, no faster than
//! they are taken there; the end of one direction leaves the other open.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Bytes that one direction holds.
const BUFFER: usize = 32 * 1024;
/// A peer that is gone without a word is found out after about three times that.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Bytes that went each way.
#[derive(Debug, Default)]
pub struct Count {
    /// From the step.
    pub sent: Cell<u64>,
    /// To the step.
    pub received: Cell<u64>,
}

/// Copies both ways. If either connection breaks, both do.
pub async fn both(mut step: TcpStream, mut world: TcpStream, count: &Count) -> io::Result<()> {
    // None of these is needed for the bytes to arrive.
    let _ = step.set_nodelay(true);
    let _ = world.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(&world, true);
    let _ = sockopt::set_tcp_keepidle(&world, KEEP_ALIVE);
    let _ = sockopt::set_tcp_keepintvl(&world, KEEP_ALIVE / 4);
    let copied = {
        let (step_read, step_write) = step.split();
        let (world_read, world_write) = world.split();
        tokio::try_join!(
            one(step_read, world_write, &count.sent),
            one(world_read, step_write, &count.received)
        )
    };
    if let Err(error) = copied {
        reset(step);
        reset(world);
        return Err(error);
    }
    Ok(())
}

async fn one(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, count: &Cell<u64>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..length).unwrap_or_default())
            .await?;
        count.set(count.get() + length as u64);
    }
}

/// Ends a connection such that the peer sees it broken, not at its end.
pub fn reset(stream: TcpStream) {
    let _ = sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
    drop(stream);
}
