use super::decider::Denied;
use std::future::Future;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;

/// Stands before the decider: so many questions at once, and so long for each. Waiting for one's turn counts.
pub(super) struct Gate {
    turns: Semaphore,
    deadline: Duration,
}

impl Gate {
    pub(super) fn new(at_once: usize, deadline: Duration) -> Self {
        Self { turns: Semaphore::new(at_once), deadline }
    }

    /// The answer as the wire has it.
    ///
    /// # Errors
    /// The decider's, and UNAVAILABLE when there is none in time.
    pub(super) async fn ask<T>(&self, question: impl Future<Output = Result<T, Denied>>) -> Result<T, Status> {
        let in_turn = async {
            let _turn = self.turns.acquire().await.map_err(|_| Status::unavailable("the server is stopping"))?;
            question.await.map_err(Status::from)
        };
        let late = |_| Status::unavailable(format!("no decision within {:?}; ask again", self.deadline));
        timeout(self.deadline, in_turn).await.map_err(late)?
    }
}
