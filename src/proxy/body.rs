//! Bodies, as the proxy gives them to both ends.
//!
//! In: bytes, or pieces as they come. Out: [`Body`]. No more than a few pieces are held: whoever
//! gives them waits for whoever takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// A body whose errors break the connection.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

/// Pieces that may wait.
const WAITING: usize = 4;

/// All of a body.
pub fn full(bytes: Bytes) -> Body {
    let body = http_body_util::Full::new(bytes);
    body.map_err(|never| match never {}).boxed_unsync()
}

/// None.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body, and the end that its pieces are put in at. It has come to its end when that is dropped
/// after as many bytes as `size` says, if it says.
pub fn pieces(size: Option<u64>) -> (Body, Sink) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let body = Pieces {
        receiver,
        left: size,
    };
    (body.boxed_unsync(), Sink(sender))
}

/// Where pieces are put in.
pub struct Sink(mpsc::Sender<io::Result<Frame<Bytes>>>);

impl Sink {
    /// Gives a piece; whether anybody takes it.
    pub async fn data(&self, bytes: Bytes) -> bool {
        self.0.send(Ok(Frame::data(bytes))).await.is_ok()
    }

    /// Gives what follows a body.
    pub async fn trailers(&self, trailers: HeaderMap) {
        // Who is gone doesn't want them.
        let _ = self.0.send(Ok(Frame::trailers(trailers))).await;
    }

    /// Breaks it off.
    pub async fn broken(&self, error: io::Error) {
        let _ = self.0.send(Err(error)).await;
    }

    /// As [`Sink::data`], from a thread that may wait.
    pub fn blocking_data(&self, bytes: Bytes) -> bool {
        self.0.blocking_send(Ok(Frame::data(bytes))).is_ok()
    }

    /// As [`Sink::broken`], likewise.
    pub fn blocking_break(&self, error: io::Error) {
        let _ = self.0.blocking_send(Err(error));
    }

    /// As [`Sink::trailers`], likewise.
    pub fn blocking_trailers(&self, trailers: HeaderMap) {
        let _ = self.0.blocking_send(Ok(Frame::trailers(trailers)));
    }
}

struct Pieces {
    receiver: mpsc::Receiver<io::Result<Frame<Bytes>>>,
    left: Option<u64>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.receiver.poll_recv(context);
        match (&polled, self.left) {
            (Poll::Ready(Some(Ok(frame))), Some(left)) => {
                let data = frame.data_ref().map_or(0, Bytes::len);
                self.left = Some(left.saturating_sub(data as u64));
            }
            // Whoever gave them is gone before their end.
            (Poll::Ready(None), Some(1..)) => {
                self.left = Some(0);
                return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
            }
            _ => {}
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
