//! What the gate and the forwarder say to each other: one message a packet, of a Unix socket that
//! keeps packets apart (`SOCK_SEQPACKET`).
//!
//! In: messages, listening sockets with them. Out: the same at the other end. Both ends are cairn,
//! but the gate's is near a step: what doesn't read as a message ends the conversation.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of the longest message.
const LONGEST: usize = 256;

/// From the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// A socket that listens comes with this: accept from it.
    Listen,
    /// A UDP socket for DNS comes with this: answer from it.
    Resolve {
        /// Whether its addresses are of IPv6.
        v6: bool,
    },
    /// The step is about to connect: is it of any use?
    Dial {
        /// Goes back with the answer.
        id: u64,
        /// Where to.
        to: SocketAddr,
    },
}

/// From the forwarder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// First of all: what the network is to be.
    Begin {
        /// Whether the step gets IPv6.
        ipv6: bool,
    },
    /// How a connection was made.
    Dialled {
        /// The question's.
        id: u64,
        /// What connect(2) is to say; 0 if it may go on.
        error: i32,
    },
}

/// Both ends of a conversation: the gate's, the forwarder's.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let pair = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
    Ok(pair)
}

/// Sends one message, and a descriptor with it.
pub fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    attached: Option<BorrowedFd<'_>>,
    flags: SendFlags,
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let attached: Vec<_> = attached.into_iter().collect();
    if !attached.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&attached));
    }
    let flags = flags | SendFlags::NOSIGNAL;
    rustix::net::sendmsg(socket, &[IoSlice::new(&text)], &mut control, flags)?;
    Ok(())
}

/// Receives one message; none once the other end is gone.
///
/// # Errors
/// Those of recvmsg(2); `InvalidData` for what is no message.
pub fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    flags: RecvFlags,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut text = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(socket, &mut parts, &mut control, flags)?;
    let mut attached = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            // More than one would be closed here.
            attached = descriptors.into_iter().next();
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let text = text.get(..received.bytes).unwrap_or_default();
    let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
    match serde_json::from_slice(text) {
        Ok(message) if !received.flags.intersects(cut) => Ok(Some((message, attached))),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(socket: &OwnedFd, ask: &Ask, attached: Option<BorrowedFd<'_>>) {
        send(socket.as_fd(), ask, attached, SendFlags::empty()).unwrap();
    }

    fn get(socket: &OwnedFd) -> io::Result<Option<(Ask, Option<OwnedFd>)>> {
        receive(socket, RecvFlags::DONTWAIT)
    }

    #[test]
    fn messages_stay_apart_and_bring_what_is_with_them() {
        let (gate, outside) = pair().unwrap();
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
        let dial = Ask::Dial {
            id: u64::MAX,
            to: longest.parse().unwrap(),
        };
        put(&gate, &Ask::Listen, Some(gate.as_fd()));
        put(&gate, &dial, None);
        let (first, with) = get(&outside).unwrap().unwrap();
        assert_eq!((first, with.is_some()), (Ask::Listen, true));
        drop(with);
        let (second, with) = get(&outside).unwrap().unwrap();
        assert_eq!((second, with.is_some()), (dial, false));
        drop(gate);
        // A child that another test forks meanwhile has the other end until it executes.
        let end = receive::<Ask>(&outside, RecvFlags::empty());
        assert!(end.unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let (gate, outside) = pair().unwrap();
        for bad in [&b"{}"[..], b"\"Listen\" ", &[b'"'; LONGEST + 1], &[0xff]] {
            rustix::net::send(&gate, bad, SendFlags::empty()).unwrap();
            let got = get(&outside);
            // White space after a message is none of JSON's business.
            assert_eq!(got.is_err(), !bad.ends_with(b" "), "{bad:?}");
        }
    }
}
