//! Follows the kubelet: its checkpoints by looking at the files, its configuration by asking, or by its file where it cannot be asked.

use super::checkpoint::{Exclusive, PinnedMemory};
use super::config::KubeletConfig;
use super::file::{Look, Watched};
use super::news::News;
use super::{KubeletEvent, KubeletPart};
use crate::kubernetes::{Clock, ask};
use futures_util::stream::{FuturesUnordered, StreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::{Client, Resource};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// No configuration is larger.
const LARGEST: usize = 1 << 20;

/// What is followed.
#[derive(Clone)]
pub(crate) struct FollowKubelet {
    /// The API server, through which the kubelet is asked for its configuration; `None`: only its files are read. See [`ask`] for what it must not do.
    pub(crate) client: Option<Client>,
    /// The node's name.
    pub(crate) node: String,
    /// The kubelet's folder.
    pub(crate) dir: PathBuf,
}

/// Follows the kubelet until nobody listens any more: to be spawned. Waits of the disk are no waits of the runtime, and a question that is not answered
/// keeps nobody from looking at the files.
pub(crate) async fn follow<E: From<KubeletEvent> + Send + 'static>(what: FollowKubelet, tell: mpsc::Sender<E>) {
    let clock = Clock::start();
    let mut files = Files::new(&what.dir);
    let mut news = News::new(&what.node, what.client.is_some());
    let mut questions = FuturesUnordered::new();
    loop {
        let looked = tokio::task::spawn_blocking(move || {
            let found = files.look();
            (files, found)
        });
        // It fails only when the runtime ends.
        let Ok((back, found)) = looked.await else { return };
        files = back;
        let mut events = Vec::new();
        for (part, found) in found {
            events.extend(news.found(part, found, clock.now()));
        }
        if let Some(client) = what.client.as_ref().filter(|_| questions.is_empty() && news.asks(clock.now())) {
            questions.push(configz(client, &what.node));
        }
        let next = clock.instant(clock.now().after(LOOK));
        loop {
            events.extend(news.configuration());
            for event in events.drain(..) {
                if tell.send(event.into()).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(next) => break,
                () = tell.closed() => return,
                Some(answer) = questions.next() => news.asked(answer, clock.now()),
            }
        }
    }
}

/// Asks the kubelet for its configuration through the API server.
///
/// # Errors
/// Why it is not known.
async fn configz(client: &Client, node: &str) -> Result<KubeletConfig, String> {
    let nodes = kube::core::Request::new(Node::url_path(&(), None));
    let request = nodes.get_subresource("proxy/configz", node).map_err(|error| error.to_string())?;
    let answer = ask(client, request, PATIENCE, LARGEST).await?;
    if !answer.is_good() {
        return Err(answer.sentence());
    }
    KubeletConfig::from_configz(&answer.body)
}

/// What a file holds; `None`: there is no file.
pub(crate) type Found = Result<Option<KubeletEvent>, String>;

/// What the kubelet's files in this folder hold now. Waits for the disk.
pub(crate) fn look_once(dir: &Path) -> Vec<(KubeletPart, Found)> {
    Files::new(dir).look()
}

/// The kubelet's files that are read.
struct Files([(KubeletPart, Watched); 3]);

impl Files {
    fn new(dir: &Path) -> Self {
        Self([
            (KubeletPart::Config, Watched::new(dir.join("config.yaml"))),
            (KubeletPart::CpuManager, Watched::new(dir.join("cpu_manager_state"))),
            (KubeletPart::MemoryManager, Watched::new(dir.join("memory_manager_state"))),
        ])
    }

    /// What changed since the last look. Waits for the disk.
    fn look(&mut self) -> Vec<(KubeletPart, Found)> {
        let one = |(part, file): &mut (KubeletPart, Watched)| {
            let found = match file.look()? {
                Look::Missing => Ok(None),
                Look::Unreadable(cause) => Err(cause),
                Look::Text(text) => parse(*part, &text).map(Some).map_err(|cause| file.named(&cause)),
            };
            Some((*part, found))
        };
        self.0.iter_mut().filter_map(one).collect()
    }
}

fn parse(part: KubeletPart, text: &str) -> Result<KubeletEvent, String> {
    match part {
        KubeletPart::Config => KubeletConfig::from_file(text).map(|config| KubeletEvent::Config(Box::new(config))),
        KubeletPart::CpuManager => Exclusive::parse(text).map(KubeletEvent::Exclusive),
        KubeletPart::MemoryManager => PinnedMemory::parse(text).map(KubeletEvent::Pinned),
    }
}

#[cfg(test)]
mod tests;
