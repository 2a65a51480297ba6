//! Speaks with the container runtime as a plugin of it (Node Resource Interface): frames, calls, the session, and what pods and containers
//! look like there.
//!
//! Purpose: the runtime tells of pods and containers as they come and go, and asks how a container is to be made or changed. [`serve`] keeps one
//! connection, for ever anew, and turns every message into an [`Event`] with a place for its answer. From the bytes upwards: `mux` takes frames apart,
//! `ttrpc` puts calls together, `session` holds the conversation, `translate` knows both vocabularies, `serve` has the socket and the clock. All but
//! the last are plain values, fed with bytes and moments.
//!
//! This crate must not know: policies, pools, the kernel's files, Kubernetes objects. What an answer should be is decided elsewhere.
//!
//! Entry points: [`serve()`], [`Event`].

mod event;
#[cfg(test)]
mod fixture;
mod gather;
mod mux;
mod serve;
mod session;
mod translate;
mod ttrpc;

pub use event::{Adjustment, Answer, Event, KnownRuntime, Resources, Sandbox, SeenContainer, Synchronized, Update};
pub use serve::{Settings, serve};
