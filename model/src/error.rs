use thiserror::Error;

/// A text that is not the value it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    /// The text does not follow the grammar of the value.
    #[error("{text:?} is not {what}")]
    Malformed {
        /// The offending text.
        text: String,
        /// What was expected, as a noun phrase.
        what: &'static str,
    },
    /// The text is well formed, but the value is outside what the type holds.
    #[error("{text:?} is out of range: {limit}")]
    OutOfRange {
        /// The offending text.
        text: String,
        /// The limit that it breaks.
        limit: &'static str,
    },
}

impl ValueError {
    /// A text that does not follow the grammar of `what`.
    #[must_use]
    pub fn malformed(text: &str, what: &'static str) -> Self {
        Self::Malformed { text: text.to_owned(), what }
    }

    /// A text whose value breaks `limit`.
    #[must_use]
    pub fn out_of_range(text: &str, limit: &'static str) -> Self {
        Self::OutOfRange { text: text.to_owned(), limit }
    }
}

/// A description of hardware that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopologyError {
    /// No CPU is online.
    #[error("the topology has no online CPU")]
    NoCpu,
    /// One CPU is described twice.
    #[error("CPU {0} is described twice")]
    DuplicateCpu(u32),
    /// One NUMA node is described twice.
    #[error("NUMA node {0} is described twice")]
    DuplicateNode(u32),
    /// A CPU belongs to a NUMA node that is not described.
    #[error("CPU {cpu} is on NUMA node {node}, which is not described")]
    UnknownNode {
        /// The CPU's number.
        cpu: u32,
        /// The node that it names.
        node: u32,
    },
}
