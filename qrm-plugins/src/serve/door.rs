//! Lets callers in, and sees to it that they find the door.

use super::authority::{Connection, HangUp};
use super::socket::{self, Identity, ServeError};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long accepting rests when it fails, most likely for want of descriptors.
const REST: Duration = Duration::from_millis(100);

/// How long a caller may take to say its first word.
const SILENCE: Duration = Duration::from_secs(10);

/// A socket that is listened on.
pub(super) struct Door {
    path: PathBuf,
    own: u32,
    listener: UnixListener,
    identity: Identity,
    places: Arc<Semaphore>,
}

impl Door {
    /// Opens it, for so many connections at once.
    ///
    /// # Errors
    /// See [`socket::open`].
    pub(super) async fn open(path: &Path, connections: usize) -> Result<Self, ServeError> {
        let own = socket::own_user()?;
        let (listener, identity) = socket::open(path, own).await?;
        Ok(Self { path: path.to_owned(), own, listener, identity, places: Arc::new(Semaphore::new(connections)) })
    }

    /// Accepts, and makes the socket anew when it vanished, until `stop` is there.
    pub(super) async fn keep(
        &mut self,
        callers: mpsc::Sender<Connection>,
        hang_up: watch::Receiver<()>,
        every: Duration,
        problem: &watch::Sender<Option<String>>,
        stop: impl Future<Output = ()>,
    ) {
        let mut look = interval(every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = look.tick() => self.look(problem).await,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.let_in(stream, &hang_up, &callers),
                    Err(_) => tokio::time::sleep(REST).await,
                },
            }
        }
    }

    /// Nobody finds it any more.
    pub(super) fn close(self) {
        socket::remove(&self.path, self.identity);
    }

    /// Whatever the mode of the socket became, only root and our own user get in; and nobody when all places are taken. Who says nothing is sent
    /// away, since that would keep a place from others.
    fn let_in(&self, stream: UnixStream, hang_up: &watch::Receiver<()>, callers: &mpsc::Sender<Connection>) {
        let trusted = stream.peer_cred().is_ok_and(|peer| is_trusted(peer.uid(), self.own));
        let place = Arc::clone(&self.places).try_acquire_owned().ok().filter(|_| trusted);
        let (Some(place), hang_up, callers) = (place, hang_up.clone(), callers.clone()) else { return };
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout(SILENCE, stream.readable()).await {
                // Nobody takes callers any more when the server has ended.
                let _ = callers.send(Connection::new(stream, ended(hang_up), place)).await;
            }
        });
    }

    /// A kubelet that starts wipes its folder. Connections that are open stay.
    async fn look(&mut self, problem: &watch::Sender<Option<String>>) {
        let mut now = None;
        if Identity::of(&self.path) != Some(self.identity) {
            match socket::open(&self.path, self.own).await {
                Ok((listener, identity)) => (self.listener, self.identity) = (listener, identity),
                Err(e) => now = Some(e.in_one_line()),
            }
        }
        problem.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
    }
}

/// Ends when the sender is gone.
fn ended(mut hang_up: watch::Receiver<()>) -> HangUp {
    Box::pin(async move { while hang_up.changed().await.is_ok() {} })
}

/// Whether somebody of this user may talk to us.
pub(super) fn is_trusted(user: u32, own: u32) -> bool {
    user == 0 || user == own
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn only_root_and_our_own_user_are_let_in() {
        for (user, own, expected) in [(0, 0, true), (0, 1000, true), (1000, 1000, true), (1001, 1000, false), (1000, 0, false)] {
            assert_eq!(is_trusted(user, own), expected, "user {user}, own {own}");
        }
    }
}
