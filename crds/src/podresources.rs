//! What the pods of a node were given, for reporters and schedulers: messages, client and server of `v1.PodResourcesLister`.
//! Field numbers are those of kubelet and of kubewharf's additions; the tests below hold every one of them fast.

// The lints are for hands, not for generators.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]

tonic::include_proto!("v1");

#[cfg(test)]
mod tests;
