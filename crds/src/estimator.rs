//! The protocol by which the agent asks an estimator in another process: messages, client and server.

// The lints are for hands, not for generators.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]

tonic::include_proto!("gleaner.estimator.v1");
