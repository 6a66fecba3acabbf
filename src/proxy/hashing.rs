//! What hashes and writes the body of an answer, beside what copies it.
//!
//! In: pieces as they come. Out: a blob's digest and size. A large body gets a thread of its own, so
//! that neither end waits for the hasher or the disk; no more than a few pieces wait for it.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::canon::Digest;
use crate::store::{self, BatchWriter};

/// Bytes of a body that isn't worth a thread.
const SMALL: u64 = 1 << 20;
/// Pieces that may wait.
const WAITING: usize = 8;

/// A body under way into the store. Dropped unfinished, it leaves nothing.
pub enum Keeper {
    /// Where it comes, with its size so far.
    Here(BatchWriter, u64),
    /// On a thread of its own.
    Beside(Beside),
}

/// The way to that thread.
pub struct Beside {
    /// Nothing after the last piece: one that is only dropped broke off.
    pieces: mpsc::Sender<Option<Bytes>>,
    done: JoinHandle<Result<Option<(Digest, u64)>, store::Error>>,
}

impl Keeper {
    /// Begins with nothing.
    pub fn new(writer: BatchWriter) -> Keeper {
        Keeper::Here(writer, 0)
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// Where this or an earlier one can't be written.
    pub async fn add(self, piece: &Bytes) -> Result<Keeper, store::Error> {
        match self {
            Keeper::Here(mut writer, size) => {
                writer.add(piece)?;
                let size = size + piece.len() as u64;
                Ok(match size > SMALL {
                    true => Keeper::Beside(Beside::new(writer)),
                    false => Keeper::Here(writer, size),
                })
            }
            Keeper::Beside(beside) => match beside.pieces.send(Some(piece.clone())).await {
                Ok(()) => Ok(Keeper::Beside(beside)),
                Err(_) => Err(beside.failure().await),
            },
        }
    }

    /// Ends the blob: its digest and size.
    ///
    /// # Errors
    /// Where not all of it can be written.
    pub async fn finish(self) -> Result<(Digest, u64), store::Error> {
        match self {
            Keeper::Here(writer, _) => writer.finish(),
            Keeper::Beside(beside) => {
                // Where it is gone, it says why.
                let _ = beside.pieces.send(None).await;
                match beside.done.await {
                    Ok(Ok(Some(done))) => Ok(done),
                    Ok(Err(error)) => Err(error),
                    Ok(Ok(None)) | Err(_) => Err(lost()),
                }
            }
        }
    }
}

impl Beside {
    fn new(mut writer: BatchWriter) -> Beside {
        let (pieces, mut waiting) = mpsc::channel::<Option<Bytes>>(WAITING);
        let done = tokio::task::spawn_blocking(move || {
            while let Some(piece) = waiting.blocking_recv() {
                match piece {
                    Some(piece) => writer.add(&piece)?,
                    None => return writer.finish().map(Some),
                }
            }
            Ok(None)
        });
        Beside { pieces, done }
    }

    /// Why it takes no more.
    async fn failure(self) -> store::Error {
        match self.done.await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) | Err(_) => lost(),
        }
    }
}

fn lost() -> store::Error {
    store::Error::Missing("answer: its writer is gone".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn large_bodies_are_kept_whole_and_broken_ones_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let pieces: Vec<_> = (0..40).map(|n| Bytes::from(vec![n; 100_000])).collect();
        for (count, is_whole) in [(0, true), (1, true), (40, false), (40, true)] {
            let batch = store.write_blobs().unwrap();
            let mut keeper = Keeper::new(batch.begin());
            for piece in &pieces[..count] {
                keeper = keeper.add(piece).await.unwrap();
            }
            let digest = Digest::of(&pieces[..count].concat());
            match (is_whole, keeper) {
                (true, keeper) => {
                    let expected = (digest, count as u64 * 100_000);
                    assert_eq!(keeper.finish().await.unwrap(), expected);
                }
                (false, Keeper::Beside(beside)) => {
                    drop(beside.pieces);
                    assert_eq!(beside.done.await.unwrap().unwrap(), None);
                }
                (false, Keeper::Here(..)) => panic!("it is large"),
            }
            batch.keep().unwrap();
            assert_eq!(store.checked_blob(&digest).is_some(), is_whole);
        }
    }
}
