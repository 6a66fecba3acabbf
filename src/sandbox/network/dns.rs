//! DNS over UDP: questions to any address, answered by the host's resolvers (RFC 1035).
//!
//! In: a socket on port 53 of the gate. Out: what a resolver said, as it said it, from the address
//! that was asked; a failure (`SERVFAIL`) if none says anything. Over TCP the forwarder carries
//! whole connections to the resolvers instead.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Interceptor;
use crate::sandbox::sys_network as sys;

/// Questions of one step that may wait for an answer at a time.
const MOST_QUESTIONS: usize = 64;
/// Bytes of the longest question that is passed on.
const LONGEST_QUESTION: usize = 4096;
/// How long one resolver may take: less than the step's libc waits (5 s) for two of them.
const PATIENCE: Duration = Duration::from_millis(2400);
const HEADER: usize = 12;

/// Who answers.
#[derive(Clone)]
pub enum Answers {
    /// The host's resolvers, the first one first.
    Resolvers(Rc<[SocketAddr]>),
    /// Somebody in their place.
    Interceptor(Arc<dyn Interceptor>),
}

impl Answers {
    async fn answer(&self, question: &[u8]) -> Vec<u8> {
        match self {
            Answers::Resolvers(resolvers) => answer(resolvers, question).await,
            Answers::Interceptor(interceptor) => {
                let (answer, answered) = oneshot::channel();
                // The question may have been given up meanwhile.
                let take = Box::new(move |message| drop(answer.send(message)));
                interceptor.question(question.to_vec(), take);
                answered.await.unwrap_or_else(|_| failure(question))
            }
        }
    }
}

/// Answers questions until the socket breaks. `asked` is told each name.
pub async fn serve(socket: OwnedFd, answers: Answers, asked: impl Fn(String)) -> io::Result<()> {
    let socket = Rc::new(sys::watched(socket)?);
    let waiting = Rc::new(Cell::new(0_usize));
    let mut buffer = vec![0; LONGEST_QUESTION + 1];
    loop {
        let receive = |socket: &OwnedFd| sys::receive(socket.as_fd(), &mut buffer);
        let received = socket.async_io(Interest::READABLE, receive).await;
        let (length, step, address) = match received {
            Ok(received) => received,
            // What an earlier answer came to: the one who asked is gone.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
            Err(error) => return Err(error),
        };
        let question = buffer.get(..length).unwrap_or_default();
        if !is_question(question) || waiting.get() >= MOST_QUESTIONS {
            // As on a busy network: libc asks again.
            continue;
        }
        if let Some(name) = name(question) {
            asked(name);
        }
        let (socket, waiting) = (Rc::clone(&socket), Rc::clone(&waiting));
        let (answers, question) = (answers.clone(), question.to_vec());
        waiting.set(waiting.get() + 1);
        tokio::task::spawn_local(async move {
            let answer = answers.answer(&question).await;
            // If the step's buffers are full, the answer is lost, as any datagram may be.
            let _ = sys::send(socket.get_ref().as_fd(), &answer, step, address);
            waiting.set(waiting.get() - 1);
        });
    }
}

/// What the first resolver that can help says; else what the last one said; else a failure.
async fn answer(resolvers: &[SocketAddr], question: &[u8]) -> Vec<u8> {
    let mut last = None;
    for resolver in resolvers {
        let asked = timeout(PATIENCE, ask(*resolver, question)).await;
        if let Ok(Ok(answer)) = asked {
            if is_help(&answer) {
                return answer;
            }
            last = Some(answer);
        }
    }
    last.unwrap_or_else(|| failure(question))
}

/// One question to one resolver, from a port of its own.
async fn ask(resolver: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = match resolver {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(resolver).await?;
    socket.send(question).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut answer).await?;
        let said = answer.get(..length).unwrap_or_default();
        if said.len() >= HEADER && said.first_chunk::<2>() == question.first_chunk::<2>() {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

/// Whether `message` has a header that asks something.
fn is_question(message: &[u8]) -> bool {
    let fits = (HEADER..=LONGEST_QUESTION).contains(&message.len());
    fits && message.get(2).is_some_and(|flags| flags & 0x80 == 0)
}

/// Whether nobody else need be asked: `SERVFAIL`, `NOTIMP` and `REFUSED` are no answers.
fn is_help(answer: &[u8]) -> bool {
    let code = answer.get(3).map(|flags| flags & 0x0f);
    !matches!(code, None | Some(2 | 4 | 5))
}

/// `question` as an answer that says `SERVFAIL`, without the records that came with it.
pub fn failure(question: &[u8]) -> Vec<u8> {
    let mut answer = question.get(..HEADER).unwrap_or_default().to_vec();
    let end = question_end(question);
    if let (Some(header), Some(end)) = (answer.first_chunk_mut::<HEADER>(), end) {
        header[2] = header[2] & 0x79 | 0x80;
        header[3] = 0x82;
        header[4..].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        answer.extend_from_slice(question.get(HEADER..end).unwrap_or_default());
    } else if let Some(header) = answer.first_chunk_mut::<HEADER>() {
        header[2] = header[2] & 0x79 | 0x80;
        header[3] = 0x82;
        header[4..].copy_from_slice(&[0; 8]);
    }
    answer
}

/// The labels of the first question and where they end; none if it isn't whole.
fn labels(message: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => return Some((labels, at)),
            // 64 and more would be a pointer, and there is nothing yet that it could point to.
            1..64 if at + length <= HEADER + 255 => labels.push(message.get(at..at + length)?),
            _ => return None,
        }
        at += length;
    }
}

/// Where the first question ends; none if it isn't whole.
pub fn question_end(message: &[u8]) -> Option<usize> {
    let end = labels(message)?.1 + 4;
    (end <= message.len()).then_some(end)
}

/// The name that `message` asks for first; odd bytes are written `\DDD` (RFC 1035, 5.1).
pub fn name(message: &[u8]) -> Option<String> {
    let (labels, _) = labels(message)?;
    let mut name = String::new();
    for (at, label) in labels.into_iter().enumerate() {
        if at > 0 {
            name.push('.');
        }
        for byte in label {
            match byte {
                b'.' | b'\\' => name.extend(['\\', char::from(*byte)]),
                b'!'..=b'~' => name.push(char::from(*byte)),
                _ => name.push_str(&format!("\\{byte:03}")),
            }
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(labels: &[u8]) -> Vec<u8> {
        let header = [0xab, 0xcd, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 1];
        [&header[..], labels, &[0, 1, 0, 1], b"additional"].concat()
    }

    #[test]
    fn a_name_is_read_whole_or_not_at_all() {
        let asked = question(b"\x03www\x04a.\\\x07\x02de\0");
        assert_eq!(name(&asked).unwrap(), "www.a\\.\\\\\\007.de");
        assert_eq!(name(&question(b"\0")).unwrap(), "");
        for length in 0..HEADER + 11 {
            assert_eq!(name(&asked[..length]), None);
        }
        assert_eq!(name(&question(b"\xc0\x0c")), None);
        let long = [&b"\x3f"[..], &[b'a'; 63]].concat().repeat(5);
        assert_eq!(name(&question(&long)), None);
    }

    #[test]
    fn a_failure_repeats_the_question_and_nothing_else() {
        let asked = question(b"\x02de\0");
        let header = [0xab, 0xcd, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0];
        let expected = [&header[..], b"\x02de\0\0\x01\0\x01"].concat();
        assert_eq!(failure(&asked), expected);
        assert!(!is_help(&expected));
        assert!(!is_question(&expected));
        assert!(is_question(&asked));
        assert_eq!(failure(&asked[..14]).len(), HEADER);
        assert_eq!(failure(&[]), [0_u8; 0]);
    }
}
