//! The network's system calls that have no safe form elsewhere: leaving a network namespace,
//! waiting for a socket, and datagrams with the address that they were sent to, `IP_PKTINFO` and `IPV6_PKTINFO` (ip(7),
//! ipv6(7)), so that an answer can come from the address that was asked.
//!
//! In: checked values, a UDP socket. Out: a namespace; bytes, who sent them, and to which address.

#![allow(unsafe_code, reason = "system calls live here alone")]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::thread::UnshareFlags;
use tokio::io::unix::AsyncFd;

/// Moves the calling thread into a network namespace that nothing else is in yet. It needs
/// `CAP_SYS_ADMIN` in its user namespace.
pub(in crate::sandbox) fn new_network() -> io::Result<()> {
    // SAFETY: only a shared table of file descriptors (`FILES`) makes this call unsound.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
    Ok(())
}

/// `socket`, made not to block, for a runtime to wait for.
pub(in crate::sandbox) fn watched(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives, and `AsyncFd`
    // lends it shared only.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

/// Room for one control message of either kind, aligned as `cmsghdr` wants it.
#[repr(align(8))]
struct Control([u8; 64]);

/// Has the kernel tell the destination of each datagram, and send from addresses that no device
/// has.
pub(in crate::sandbox) fn tell_destinations(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    let options: &[(i32, i32)] = match v6 {
        false => &[(libc::IPPROTO_IP, libc::IP_PKTINFO)],
        true => &[
            (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND),
        ],
    };
    for &(level, name) in options {
        let on: i32 = 1;
        // SAFETY: the pointer and the length are those of `on`, which outlives the call.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                name,
                (&raw const on).cast(),
                size_of::<i32>() as u32,
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// One datagram: its length in `buffer` (what is longer is cut), its sender, and the address that
/// it was sent to.
///
/// # Errors
/// Those of recvmsg(2); `InvalidData` if the kernel told no addresses.
pub(in crate::sandbox) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, IpAddr)> {
    let mut control = Control([0; 64]);
    // SAFETY: all-zero bytes are a valid value of these plain C structs.
    let (mut from, mut message): (libc::sockaddr_storage, libc::msghdr) =
        unsafe { (zeroed(), zeroed()) };
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: every pointer in `message` is to a value above that outlives the call, with its
    // true length.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let untold = || io::Error::new(io::ErrorKind::InvalidData, "no address told");
    let from = sender(&from).ok_or_else(untold)?;
    // SAFETY: the kernel filled `control` and set `msg_controllen`; the `CMSG_` walk stays inside
    // of them, and each payload is read unaligned after its length was checked.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(&raw const message);
        while let Some(header) = at.as_ref() {
            let data = libc::CMSG_DATA(at);
            let room = |size: usize| header.cmsg_len >= libc::CMSG_LEN(size as u32) as usize;
            match (header.cmsg_level, header.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) if room(size_of::<libc::in_pktinfo>()) => {
                    let told = data.cast::<libc::in_pktinfo>().read_unaligned();
                    let address = Ipv4Addr::from(u32::from_be(told.ipi_addr.s_addr));
                    return Ok((length, from, address.into()));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if room(size_of::<libc::in6_pktinfo>()) => {
                    let told = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    let address = Ipv6Addr::from(told.ipi6_addr.s6_addr);
                    return Ok((length, from, address.into()));
                }
                _ => at = libc::CMSG_NXTHDR(&raw const message, at),
            }
        }
    }
    Err(untold())
}

/// Sends `data` to `to`, as if from the address `from` (whatever port the socket has).
///
/// # Errors
/// Those of sendmsg(2).
pub(in crate::sandbox) fn send(
    socket: BorrowedFd<'_>,
    data: &[u8],
    to: SocketAddr,
    from: IpAddr,
) -> io::Result<()> {
    let mut control = Control([0; 64]);
    // SAFETY: all-zero bytes are a valid value of these plain C structs.
    let (mut message, mut v4, mut v6): (libc::msghdr, libc::sockaddr_in, libc::sockaddr_in6) =
        unsafe { (zeroed(), zeroed(), zeroed()) };
    match to {
        SocketAddr::V4(to) => {
            v4.sin_family = libc::AF_INET as u16;
            v4.sin_port = to.port().to_be();
            v4.sin_addr.s_addr = u32::from(*to.ip()).to_be();
            message.msg_name = (&raw mut v4).cast();
            message.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        SocketAddr::V6(to) => {
            v6.sin6_family = libc::AF_INET6 as u16;
            v6.sin6_port = to.port().to_be();
            v6.sin6_addr.s6_addr = to.ip().octets();
            v6.sin6_scope_id = to.scope_id();
            message.msg_name = (&raw mut v6).cast();
            message.msg_namelen = size_of::<libc::sockaddr_in6>() as u32;
        }
    }
    let mut part = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    // SAFETY: `control` has room for one header and the larger payload, so that the first header
    // is inside of it; writes are unaligned and of plain values. sendmsg only reads what the
    // pointers in `message` lead to, all of which outlives the call.
    let sent = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let size = match from {
            IpAddr::V4(from) => {
                (*header).cmsg_level = libc::IPPROTO_IP;
                (*header).cmsg_type = libc::IP_PKTINFO;
                let mut info: libc::in_pktinfo = zeroed();
                info.ipi_spec_dst.s_addr = u32::from(from).to_be();
                let data = libc::CMSG_DATA(header).cast::<libc::in_pktinfo>();
                data.write_unaligned(info);
                size_of::<libc::in_pktinfo>() as u32
            }
            IpAddr::V6(from) => {
                (*header).cmsg_level = libc::IPPROTO_IPV6;
                (*header).cmsg_type = libc::IPV6_PKTINFO;
                let mut info: libc::in6_pktinfo = zeroed();
                info.ipi6_addr.s6_addr = from.octets();
                let data = libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>();
                data.write_unaligned(info);
                size_of::<libc::in6_pktinfo>() as u32
            }
        };
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        message.msg_controllen = libc::CMSG_SPACE(size) as _;
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    match sent {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The address in `storage`, if it is one of the internet's.
fn sender(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let at = &raw const *storage;
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which struct this is, and the storage is large enough and
            // aligned for it.
            let v4 = unsafe { &*at.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*at.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}
