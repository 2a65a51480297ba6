//! The messages of the protocol between container runtimes and their plugins, `nri.pkg.api.v1alpha1`. What carries them is the crate `nri`.

// The lints are for hands, not for generators.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]

tonic::include_proto!("nri.pkg.api.v1alpha1");
