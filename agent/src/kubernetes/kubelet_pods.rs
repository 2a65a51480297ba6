//! The pods of this node from the kubelet's own port, asked for again and again: it knows no watch.

use super::fault::cause;
use super::object::PodList;
use super::pace::{FIRST_WAIT, LONGEST_WAIT, backoff, jitter};
use super::pods::{Closed, Source, Told, changed, records};
use super::{ApiPod, PodsEvent};
use gleaner_model::QosConfig;
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use kube::Client;
use kube::client::Body;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

const EVERY: Duration = Duration::from_secs(5);
/// Up to this is added, another part on each node and each time.
const JITTER: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(30);
/// 500 pods take some 5 MiB.
const LARGEST: usize = 64 << 20;

/// Tells of this node's pods until nobody listens: all of them, whenever something changed. Any failure is told of and tried again.
pub(crate) async fn poll_pods<E>(kubelet: Client, node: String, qos: watch::Receiver<QosConfig>, sender: mpsc::Sender<E>)
where
    E: From<PodsEvent> + Send + 'static,
{
    let Err(Closed) = poll(&kubelet, &node, qos, Told::new(sender)).await;
}

async fn poll<E: From<PodsEvent>>(
    kubelet: &Client,
    node: &str,
    mut qos: watch::Receiver<QosConfig>,
    mut told: Told<E>,
) -> Result<Infallible, Closed> {
    let (mut last, mut failures, mut round) = (None, 0u32, 0u32);
    loop {
        qos.borrow_and_update();
        let asked = tokio::select! {
            closed = told.closed() => return Err(closed),
            asked = timeout(ANSWER, ask(kubelet, &qos)) => asked,
        };
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER.as_secs())));
        let pause = match asked {
            Ok(pods) => {
                failures = 0;
                if last.as_ref() != Some(&pods) {
                    told.listed(pods.clone()).await?;
                    last = Some(pods);
                }
                told.reach(None).await?;
                round = round.wrapping_add(1);
                EVERY + jitter(JITTER, node, round.into())
            }
            Err(cause) => {
                failures = failures.saturating_add(1);
                told.reach(Some(format!("ask the kubelet for its pods: {cause}"))).await?;
                backoff(FIRST_WAIT, LONGEST_WAIT, failures, node, failures.into())
            }
        };
        tokio::select! {
            closed = told.closed() => return Err(closed),
            () = changed(&mut qos), if failures == 0 => {}
            () = sleep(pause) => {}
        }
    }
}

/// All pods, in the order of their uids: the kubelet's own has no meaning.
async fn ask(kubelet: &Client, qos: &watch::Receiver<QosConfig>) -> Result<Vec<ApiPod>, String> {
    let request = Request::get("/pods").body(Body::empty()).map_err(|error| error.to_string())?;
    let answer = kubelet.send(request).await.map_err(|error| cause(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let bytes = body.map_err(|error| format!("its answer cannot be read, or is larger than {} MiB: {error}", LARGEST >> 20))?.to_bytes();
    if !status.is_success() {
        // The kubelet says in plain text who may not do what.
        let text: String = String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        return Err(format!("{status}: {text}"));
    }
    let list: PodList = serde_json::from_slice(&bytes).map_err(|error| format!("its answer is no list of pods: {error}"))?;
    let mut pods = records(list.items, Source::Kubelet, &qos.borrow());
    pods.sort_by(|a, b| a.pod.uid.cmp(&b.pod.uid));
    Ok(pods)
}

#[cfg(test)]
mod tests;
