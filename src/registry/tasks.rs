//! Several transfers at once, but not too many.
//!
//! In: futures. Out: the first error, given only once everything that still ran has ended and
//! cleaned up behind itself.

use std::future::Future;

use tokio::task::{JoinError, JoinSet};

use super::error::Error;

/// Transfers under way at the same time, as docker has it for pulls.
pub(super) const PARALLEL: usize = 4;

/// Transfers under way.
#[derive(Default)]
pub(super) struct Tasks(JoinSet<Result<(), Error>>);

impl Tasks {
    /// Begins one, after waiting for an earlier one where there are too many.
    pub(super) async fn begin(
        &mut self,
        task: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<(), Error> {
        if self.0.len() >= PARALLEL {
            self.wait_for_one().await?;
        }
        self.0.spawn(task);
        Ok(())
    }

    /// Waits for all.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        while !self.0.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    /// Ends all because of `error`.
    pub(super) async fn fail<T>(&mut self, error: Error) -> Result<T, Error> {
        self.0.shutdown().await;
        Err(error)
    }

    async fn wait_for_one(&mut self) -> Result<(), Error> {
        match self.0.join_next().await.map(result) {
            Some(Err(error)) => self.fail(error).await,
            _ => Ok(()),
        }
    }
}

/// The result of a task; one that died has hit a bug.
fn result(ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    ended.unwrap_or_else(|error| Err(Error::Start(format!("a bug in cairn: {error}"))))
}
