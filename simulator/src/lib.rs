//! What a policy would have lent and risked on nodes made from usage traces.
//!
//! Rules: the policies are the estimator's own code; the same traces, settings and seed give the same answer.
//!
//! This crate must not know: files, clocks, threads' number, Kubernetes, kernel files.
