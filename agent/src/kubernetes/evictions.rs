//! Evictions through the API server, which keeps to disruption budgets; kubelet then ends the pod.

mod queue;
mod request;

use super::{Clock, EvictionOrder, EvictionOutcome, ask};
use futures_util::stream::{FuturesUnordered, StreamExt};
use gleaner_model::PodUid;
use kube::Client;
use queue::{Answered, Queue, Step};
use std::time::Duration;
use tokio::sync::mpsc;

/// The API server itself tries again for 10 s while others change the pod.
const PATIENCE: Duration = Duration::from_secs(30);
/// No answer to an eviction is larger.
const LARGEST: usize = 256 << 10;
/// Orders and withdrawals that wait to be taken.
const WAITING: usize = 1024;

enum Work {
    Order(EvictionOrder),
    Withdraw(PodUid),
}

/// Hands orders to the task. It ends when the last of these is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Evictions {
    to: mpsc::Sender<Work>,
}

impl Evictions {
    /// Orders an eviction. A newer order for a pod replaces the older. Never waits; `false` when too much waits already, or the task is gone: nothing was
    /// ordered.
    #[must_use]
    pub(crate) fn order(&self, order: EvictionOrder) -> bool {
        self.to.try_send(Work::Order(order)).is_ok()
    }

    /// Takes an order back: its cause is over. A request that is under way may still succeed, which is told. `false` as for [`Evictions::order`]: to be
    /// tried again.
    #[must_use]
    pub(crate) fn withdraw(&self, pod: &PodUid) -> bool {
        self.to.try_send(Work::Withdraw(pod.clone())).is_ok()
    }

    /// Starts the task. `tell` gets each outcome; every order ends with exactly one of `Accepted`, `Gone` and `Failed`, unless it is withdrawn, and may
    /// be `Blocked` before. `health` gets what is wrong with the way to the API server, when that changes. See [`ask`] for what the client must not do.
    pub(crate) fn start<E>(client: Client, node: &str, tell: mpsc::Sender<E>, health: impl FnMut(Option<String>) + Send + 'static) -> Self
    where
        E: From<(PodUid, EvictionOutcome)> + Send + 'static,
    {
        let (to, works) = mpsc::channel(WAITING);
        tokio::spawn(run(client, Queue::new(node), works, tell, Reach { health, well: true }));
        Self { to }
    }
}

/// Tells when the way to the API server breaks or is mended.
struct Reach<H> {
    health: H,
    well: bool,
}

impl<H: FnMut(Option<String>)> Reach<H> {
    fn note(&mut self, answer: &Answered) {
        let problem = if let Answered::Busy { cause, .. } = answer { Some(cause.clone()) } else { None };
        if self.well != problem.is_none() {
            self.well = problem.is_none();
            (self.health)(problem);
        }
    }
}

async fn run<E, H>(client: Client, mut queue: Queue, mut works: mpsc::Receiver<Work>, tell: mpsc::Sender<E>, mut reach: Reach<H>)
where
    E: From<(PodUid, EvictionOutcome)> + Send + 'static,
    H: FnMut(Option<String>) + Send + 'static,
{
    let clock = Clock::start();
    let mut flights = FuturesUnordered::new();
    loop {
        let mut news = None;
        let wake = match queue.next(clock.now()) {
            Step::Send(order) => {
                flights.push(evict(client.clone(), order));
                continue;
            }
            Step::Tell(pod, outcome) => {
                news = Some((pod, outcome));
                None
            }
            Step::Wait(until) => Some(clock.instant(until)),
            Step::Idle => None,
        };
        if news.is_none() {
            tokio::select! {
                work = works.recv() => match work {
                    None => return,
                    Some(Work::Withdraw(pod)) => queue.withdraw(&pod),
                    Some(Work::Order(order)) => {
                        let pod = order.pod.clone();
                        news = queue.order(order, clock.now()).map(|outcome| (pod, outcome));
                    }
                },
                Some((pod, answer)) = flights.next() => {
                    reach.note(&answer);
                    news = queue.answered(&pod, answer, clock.now()).map(|outcome| (pod, outcome));
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(|| clock.instant(clock.now()))), if wake.is_some() => {}
            }
        }
        if let Some(news) = news
            && tell.send(news.into()).await.is_err()
        {
            return;
        }
    }
}

async fn evict(client: Client, order: EvictionOrder) -> (PodUid, Answered) {
    let answer = match request::request(&order) {
        Ok(request) => request::judge(ask(&client, request, PATIENCE, LARGEST).await),
        Err(cause) => Answered::Refused(cause),
    };
    (order.pod, answer)
}

#[cfg(test)]
mod tests;
