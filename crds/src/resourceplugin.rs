//! The resource plugin protocol, `resourceplugin.v1alpha1`: messages, client and server.
//! Field numbers are those of kubewharf's kubelet; the tests below hold every one of them fast.

// The lints are for hands, not for generators.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]

tonic::include_proto!("resourceplugin.v1alpha1");

#[cfg(test)]
mod tests;
