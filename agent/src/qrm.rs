//! Standing in front of an enhanced kubelet: what the agent keeps for it beside the ledger.

mod decider;
mod servers;

pub(crate) use decider::PluginCall;

pub(crate) use servers::{Served, serve, stop};

use crate::claims::Claims;
use crate::config::Config;
use crate::error::AgentError;
use crate::presence::Presence;
use gleaner_qrm_plugins::{CpuPlugin, MemoryPlugin, Plugins};

/// What the event loop holds in this mode.
pub(crate) struct Qrm {
    pub(crate) plugins: Plugins,
    pub(crate) claims: Claims,
    pub(crate) presence: Presence,
    /// Why the last promise could not be stored.
    pub(crate) failing: Option<String>,
}

impl Qrm {
    /// # Errors
    /// When the folder of promises cannot be made.
    pub(crate) fn open(config: &Config) -> Result<Self, AgentError> {
        let plugins = Plugins::new(vec![Box::new(CpuPlugin), Box::new(MemoryPlugin)]);
        Ok(Self { plugins, claims: Claims::open(config.claims())?, presence: Presence::default(), failing: None })
    }
}
