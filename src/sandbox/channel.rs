//! Messages with descriptors over a Unix stream socket.
//!
//! In and out: a message is four bytes of length (little-endian), then JSON; descriptors travel
//! with the length. Both ends are cairn, but the lengths are checked: an end may be gone halfway.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest message in bytes.
const LARGEST: usize = 64 << 20;
/// Most descriptors with one message.
const MOST_DESCRIPTORS: usize = 4;

/// One end of a conversation.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

impl Channel {
    /// Two ends that speak to each other.
    pub(super) fn pair() -> io::Result<(Channel, Channel)> {
        let kind = SocketType::STREAM;
        let (a, b) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Channel::from(a), Channel::from(b)))
    }

    /// Sends a message.
    pub(super) fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        if text.len() > LARGEST || descriptors.len() > MOST_DESCRIPTORS {
            return Err(io::Error::other("the message is larger than 64 MiB"));
        }
        let length = (text.len() as u32).to_le_bytes();
        if descriptors.is_empty() {
            send_bytes(self.0.as_fd(), &length, &[])?;
            return (&self.0).write_all(&text);
        }
        // In one call: behind it a process may be under a filter that lets it make no other. Descriptors
        // come with few bytes.
        send_bytes(self.0.as_fd(), &[&length, &text[..]].concat(), descriptors)
    }

    /// Takes the next message; an error of kind `UnexpectedEof` if the other end is gone.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<(T, Vec<OwnedFd>)> {
        let mut length = [0; 4];
        let (count, descriptors) = receive_bytes(self.0.as_fd(), &mut length)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (_, rest) = length.split_at_mut(count);
        (&self.0).read_exact(rest)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LARGEST {
            return Err(io::Error::other("a message larger than 64 MiB"));
        }
        let mut text = vec![0; length];
        (&self.0).read_exact(&mut text)?;
        Ok((serde_json::from_slice(&text)?, descriptors))
    }

    /// As [`Channel::receive`], if there is no descriptor with it.
    pub(super) fn receive_plain<T: DeserializeOwned>(&self) -> io::Result<T> {
        self.receive().map(|(message, _)| message)
    }
}

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Channel {
        Channel(UnixStream::from(socket))
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> OwnedFd {
        channel.0.into()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends all of `bytes`, which are few, with the descriptors.
pub(super) fn send_bytes(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let slices = [IoSlice::new(bytes)];
    let sent =
        retried(|| rustix::net::sendmsg(socket, &slices, &mut ancillary, SendFlags::NOSIGNAL))?;
    match sent == bytes.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Takes what comes, with descriptors, which no program that is executed inherits.
pub(super) fn receive_bytes(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(bytes)];
    let got = retried(|| {
        rustix::net::recvmsg(socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    Ok((got.bytes, descriptors))
}

/// `call` until no signal interrupts it.
pub(super) fn retried<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}
