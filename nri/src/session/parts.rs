//! What exists, which newer runtimes tell in parts.

use super::Step;
use super::question;
use crate::event::{Event, Resources, Synchronized, Update};
use crate::translate::{self, Sent, Unknown};
use gleaner_crds::nri as wire;
use prost::Message as _;
use prost::bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// All parts together, in bytes: some twenty times what a node with many pods has.
const LONGEST: usize = 64 << 20;
/// Pods and containers together. A node has some hundreds.
const MOST: usize = 1 << 16;

/// One `SynchronizeRequest`, its pods and containers still as bytes: they are decoded one after the other, since all of them decoded at once need
/// many times the room.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Part {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pods: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    containers: Vec<Bytes>,
    #[prost(bool, tag = "3")]
    pub(super) more: bool,
}

/// More than any node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the runtime told of {objects} pods and containers in {bytes} bytes; at most {MOST} in {LONGEST} bytes are taken")]
pub(crate) struct TooMuch {
    objects: usize,
    bytes: usize,
}

/// What was told so far.
#[derive(Debug)]
pub(super) struct Parts {
    /// When the first part came.
    pub(super) begun: Duration,
    /// When the answer to the last one must be out.
    pub(super) due: Duration,
    seen: Synchronized,
    objects: usize,
    bytes: usize,
}

impl Parts {
    /// All parts share one time limit, that of the first. An answer in its last tenth may not reach the runtime in time.
    pub(super) fn begin(at: Duration, waits: Duration) -> Self {
        let due = at.saturating_add(waits.saturating_sub(waits / 10));
        Self { begun: at, due, seen: Synchronized::default(), objects: 0, bytes: 0 }
    }

    /// Adds a part. A pod or container that cannot be understood is left out, with a line.
    ///
    /// # Errors
    /// When it is more than any node has.
    pub(super) fn add(&mut self, part: Part) -> Result<(), TooMuch> {
        self.objects = self.objects.saturating_add(part.pods.len()).saturating_add(part.containers.len());
        self.bytes = self.bytes.saturating_add(part.encoded_len());
        if self.objects > MOST || self.bytes > LONGEST {
            return Err(TooMuch { objects: self.objects, bytes: self.bytes });
        }
        self.seen.pods.extend(part.pods.into_iter().filter_map(|pod| known("sandbox", pod, translate::sandbox)));
        self.seen.containers.extend(part.containers.into_iter().filter_map(|one| known("container", one, translate::container)));
        Ok(())
    }

    /// The question that it is.
    pub(super) fn ask(self, call: u32, waits: Duration, unified: bool) -> Step {
        let has: BTreeMap<String, Resources> =
            self.seen.containers.iter().map(|container| (container.id.clone(), container.resources.clone())).collect();
        let (answer, question) = question::ask("Synchronize".to_owned(), call, waits, false, move |updates: Vec<Update>| {
            let sent = updates
                .iter()
                .filter_map(|update| Some(translate::update(&update.container, &update.adjustment, has.get(&update.container)?, unified)));
            let (mut messages, mut left_out) = (Vec::new(), Vec::new());
            for Sent { message, left_out: some } in sent {
                messages.extend(message);
                left_out.extend(some);
            }
            (wire::SynchronizeResponse { update: messages, more: false }.encode_to_vec(), left_out)
        });
        Step::Ask(Event::Synchronize(self.seen, answer), question)
    }
}

fn known<W: prost::Message + Default, M>(what: &str, bytes: Bytes, translate: impl Fn(W) -> Result<M, Unknown>) -> Option<M> {
    let decoded = W::decode(bytes).map_err(|e| Unknown::new(what, "?", e));
    decoded.and_then(translate).inspect_err(|unknown| tracing::warn!("nri: {unknown}; it is not known here")).ok()
}
