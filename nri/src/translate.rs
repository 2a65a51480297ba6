//! Between the messages of the wire and the model: pods, containers and amounts as the runtime tells of them, and what they are to have in the
//! runtime's words. Pure: bad input is a line for the log, and that one pod or container is unknown.

mod cgroup;
mod incoming;
mod outgoing;

pub(crate) use incoming::{Unknown, container, legal, requested, sandbox};
pub(crate) use outgoing::{Asked, Sent, creation, replacement, update};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
