//! The caller's end of a command's streams.
//!
//! In: pipes, or a terminal's master end. Out: bytes as they come, until the worker says that the
//! command is over.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios};

use super::Stream;
use super::channel::{Channel, retried};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// How often the size of the caller's window is looked at.
const WINDOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Takes what a command writes. An error ends the command.
pub type Output<'a> = dyn FnMut(Stream, &[u8]) -> io::Result<()> + 'a;

/// A stream, and its pipe until that is over.
pub(super) type Pump = (Stream, Option<OwnedFd>);

/// Hands on what comes until there is a message on the channel, or its end. Something on `stop` is
/// an error.
pub(super) fn until_said(
    channel: &Channel,
    pumps: &mut [Pump; 2],
    stop: Option<BorrowedFd<'_>>,
    output: &mut Output<'_>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let mut ends = vec![PollFd::new(channel, PollFlags::IN)];
        // Itself again where nobody may stop it.
        let stop = stop.map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN));
        ends.push(stop.unwrap_or_else(|| PollFd::new(channel, PollFlags::empty())));
        let open = pumps.iter().filter_map(|(_, pipe)| pipe.as_ref());
        ends.extend(open.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        retried(|| rustix::event::poll(&mut ends, None))?;
        let is_said = !ends[0].revents().is_empty();
        if !is_said && !ends[1].revents().is_empty() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let mut ready = ends[2..].iter().map(|end| !end.revents().is_empty());
        let ready: Vec<bool> = pumps
            .iter()
            .map(|(_, pipe)| pipe.is_some() && ready.next().unwrap_or(false))
            .collect();
        for ((stream, pipe), is_ready) in pumps.iter_mut().zip(ready) {
            let Some(open) = pipe.as_ref().filter(|_| is_ready) else {
                continue;
            };
            match retried(|| rustix::io::read(open, piece.as_mut_slice()))? {
                0 => *pipe = None,
                count => output(*stream, &piece[..count])?,
            }
        }
        if is_said {
            return Ok(());
        }
    }
}

/// Hands on what is still in the pipes.
pub(super) fn rest(pumps: [Pump; 2], output: &mut Output<'_>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    for (stream, pipe) in pumps {
        let Some(pipe) = pipe else { continue };
        // Should a writer be left against all expectation, nobody waits for it.
        rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
        loop {
            match rustix::io::read(&pipe, piece.as_mut_slice()) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(count) => output(stream, &piece[..count])?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// A terminal that hands on every key; as it was when this is dropped.
struct Raw<'a>(&'a OwnedFd, Termios);

impl<'a> Raw<'a> {
    fn new(terminal: &'a OwnedFd) -> Option<Raw<'a>> {
        let before = rustix::termios::tcgetattr(terminal).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(terminal, OptionalActions::Drain, &raw).ok()?;
        Some(Raw(terminal, before))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _ = rustix::termios::tcsetattr(self.0, OptionalActions::Drain, &self.1);
    }
}

/// Joins the caller's terminal to the step's until there is a message on the channel.
pub(super) fn join(
    channel: &Channel,
    master: &OwnedFd,
    input: &OwnedFd,
    output: &OwnedFd,
) -> io::Result<()> {
    let _raw = Raw::new(input);
    let mut piece = vec![0; PIECE];
    let mut size = None;
    let mut has_input = true;
    loop {
        if let Ok(now) = rustix::termios::tcgetwinsize(output) {
            let is_same = size == Some((now.ws_row, now.ws_col));
            if !is_same && rustix::termios::tcsetwinsize(master, now).is_ok() {
                size = Some((now.ws_row, now.ws_col));
            }
        }
        let mut ends = vec![
            PollFd::new(channel, PollFlags::IN),
            PollFd::new(master, PollFlags::IN),
        ];
        if has_input {
            ends.push(PollFd::new(input, PollFlags::IN));
        }
        retried(|| rustix::event::poll(&mut ends, Some(&WINDOW)))?;
        let is_ready = |at: usize| ends.get(at).is_some_and(|end| !end.revents().is_empty());
        let (is_said, has_output, is_typed) = (is_ready(0), is_ready(1), is_ready(2));
        if has_output {
            match rustix::io::read(master, piece.as_mut_slice()) {
                // Nobody has it open any more.
                Ok(0) | Err(Errno::IO) => {}
                Ok(count) => write_all(output, &piece[..count])?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if is_said {
            return Ok(());
        }
        if is_typed {
            match retried(|| rustix::io::read(input, piece.as_mut_slice()))? {
                0 => {
                    has_input = false;
                    // What a terminal sends at the end of input.
                    write_all(master, &[4])?;
                }
                count => write_all(master, &piece[..count])?,
            }
        }
    }
}

fn write_all(to: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = retried(|| rustix::io::write(to, bytes))?;
        bytes = &bytes[count..];
    }
    Ok(())
}
