//! Katalyst's settings that have a counterpart here whose meaning is the same. `docs/cluster-configuration.md` has the same table for users.

use super::object::duration_of;
use crate::config::Config;
use gleaner_crds::quantity::{milli_value, value};
use gleaner_model::{Bytes, MilliCpu, Permille, Span};
use serde_json::Value;

/// One setting.
pub(super) struct Setting {
    /// Its place below `spec.config`.
    pub(super) path: &'static str,
    /// The key of the agent's own configuration that it sets.
    pub(super) key: &'static str,
    /// Sets it. `false`: the value has no counterpart. An error says what is wrong with the value.
    pub(super) put: fn(&mut Config, &Value) -> Result<bool, String>,
}

/// Settings that give values.
pub(super) const VALUES: [Setting; 7] = [
    Setting { path: "reclaimedResourceConfig.reservedResourceForAllocate.cpu", key: "estimator.cpuReserve", put: cpu_reserve },
    Setting { path: "reclaimedResourceConfig.reservedResourceForAllocate.memory", key: "estimator.memoryReserve", put: memory_reserve },
    Setting {
        path: "evictionConfig.cpuPressureEvictionConfig.enableSuppressionEviction",
        key: "eviction.cpuBudget",
        put: suppression_eviction,
    },
    Setting {
        path: "evictionConfig.cpuPressureEvictionConfig.maxSuppressionToleranceRate",
        key: "eviction.suppressionTolerance",
        put: suppression_tolerance,
    },
    Setting {
        path: "evictionConfig.cpuPressureEvictionConfig.minSuppressionToleranceDuration",
        key: "eviction.suppressionAfter",
        put: suppression_after,
    },
    Setting {
        path: "evictionConfig.memoryPressureEvictionConfig.enableSystemLevelEviction",
        key: "eviction.memoryBudget",
        put: memory_eviction,
    },
    Setting {
        path: "advisorConfig.cpuAdvisorConfig.allowSharedCoresOverlapReclaimedCores",
        key: "placement.overlapShare",
        put: overlap_share,
    },
];

/// Settings that switch something off for good: no other setting of the object switches it on again.
pub(super) const SWITCHES: [Setting; 2] = [
    Setting { path: "reclaimedResourceConfig.enableReclaim", key: "estimator.lend", put: enable_reclaim },
    Setting { path: "evictionConfig.dryRun", key: "eviction", put: dry_run },
];

fn cpu_reserve(config: &mut Config, amount: &Value) -> Result<bool, String> {
    config.estimator.cpu_reserve = milli_value(&quantity(amount)?).map(|cpu| MilliCpu::new(cpu.get())).map_err(|e| e.to_string())?;
    Ok(true)
}

fn memory_reserve(config: &mut Config, amount: &Value) -> Result<bool, String> {
    config.estimator.memory_reserve = value(&quantity(amount)?).map(|memory| Bytes::new(memory.get())).map_err(|e| e.to_string())?;
    Ok(true)
}

fn suppression_eviction(config: &mut Config, on: &Value) -> Result<bool, String> {
    config.eviction.cpu_budget = budget(switch(on)?, config.eviction.cpu_budget, gleaner_eviction::Policy::default().cpu_budget);
    Ok(true)
}

fn memory_eviction(config: &mut Config, on: &Value) -> Result<bool, String> {
    config.eviction.memory_budget = budget(switch(on)?, config.eviction.memory_budget, gleaner_eviction::Policy::default().memory_budget);
    Ok(true)
}

/// A budget of zero switches a rule off; a rule that the file switched off gets the default when it is switched on.
fn budget(on: bool, now: u32, default: u32) -> u32 {
    match (on, now) {
        (false, _) => 0,
        (true, 0) => default,
        (true, budget) => budget,
    }
}

fn suppression_tolerance(config: &mut Config, rate: &Value) -> Result<bool, String> {
    config.eviction.suppression_tolerance = ratio(rate)?;
    Ok(true)
}

fn suppression_after(config: &mut Config, duration: &Value) -> Result<bool, String> {
    let text = duration.as_str().ok_or_else(|| format!("{duration} is not a span of time such as 5m"))?;
    config.eviction.suppression_after = Span::new(duration_of(text)?);
    Ok(true)
}

fn overlap_share(config: &mut Config, on: &Value) -> Result<bool, String> {
    config.placement.mode = switch(on)?.into();
    Ok(true)
}

fn enable_reclaim(config: &mut Config, on: &Value) -> Result<bool, String> {
    if !switch(on)? {
        config.estimator.lend = false;
    }
    Ok(true)
}

/// All rules together can be switched off; Katalyst's single plugins have other names and other bounds than the rules here.
fn dry_run(config: &mut Config, plugins: &Value) -> Result<bool, String> {
    let names: Option<Vec<&str>> = plugins.as_array().and_then(|all| all.iter().map(Value::as_str).collect());
    let names = names.ok_or("is not a list of names")?;
    let all = names.contains(&"*") && !names.iter().any(|name| name.starts_with('-'));
    if all {
        (config.eviction.cpu_budget, config.eviction.memory_budget) = (0, 0);
    }
    Ok(all || names.is_empty())
}

fn switch(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{value} is not true or false"))
}

fn quantity(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("{other} is not a quantity such as 500m or 2Gi")),
    }
}

/// A number of which 1 is the whole, to the nearest thousandth.
fn ratio(value: &Value) -> Result<Permille, String> {
    let number = value.as_f64().ok_or_else(|| format!("{value} is not a number"))?;
    let percentage = format!("{:.1}%", number * 100.0);
    percentage.parse().map_err(|_| format!("{value} is not a ratio from 0 to 4000000"))
}
