//! How a plugin introduces itself: the messages, client and server of `pluginregistration.Registration`.
//! The plugin serves it on its own socket; the watcher dials, asks, and tells its verdict.

// The lints are for hands, not for generators.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]

tonic::include_proto!("pluginregistration");

#[cfg(test)]
mod tests;
