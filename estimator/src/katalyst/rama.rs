//! The first step of Katalyst's controller on indicators with targets, its policy `rama`.

use gleaner_model::MilliCpu;

/// Gains and bounds of one indicator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RamaParameters {
    /// Gain above the target, for each CPU of the region's upper bound.
    pub kp_positive: f64,
    /// Gain below the target.
    pub kp_negative: f64,
    /// The most CPUs that one step adds.
    pub adjust_upper: f64,
    /// The most CPUs that one step takes, as a negative number.
    pub adjust_lower: f64,
    /// How far above the target, as a share of it, nothing is done.
    pub deadband_upper: f64,
    /// How far below the target, as a share of it, nothing is done.
    pub deadband_lower: f64,
}

/// One indicator, in any unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RamaIndicator {
    /// What it should be.
    pub target: f64,
    /// What it is.
    pub current: f64,
    /// How it acts.
    pub parameters: RamaParameters,
}

/// What one step is told.
#[derive(Debug, Clone, Copy)]
pub struct Rama<'a> {
    /// The requirement in force.
    pub requirement: MilliCpu,
    /// The most that the region can have.
    pub upper: MilliCpu,
    /// The least that it has; `upper` rules where that is less.
    pub lower: MilliCpu,
    /// CPU kept for pods to come.
    pub reserved_for_allocate: MilliCpu,
    /// Whether anything is lent.
    pub reclaim: bool,
    /// The indicators.
    pub indicators: &'a [RamaIndicator],
}

/// The requirement after the first step; `None` where Katalyst does not run this policy: nothing is lent, CPU is kept for pods to come
/// (which is its default), or there are no indicators.
///
/// ```text
/// error       = ln(current) - ln(target); nothing inside the dead band
/// adjustment  = kp x upper x error, between adjustLower and adjustUpper
/// requirement = requirement + adjustment, between lower and upper; the largest of the indicators' rules
/// ```
///
/// Katalyst skips an indicator that is not above zero. The term on the change of the error needs a step before, and is not here.
#[must_use]
pub fn rama_step(input: &Rama<'_>) -> Option<MilliCpu> {
    if !input.reclaim || !input.reserved_for_allocate.is_zero() || input.indicators.is_empty() {
        return None;
    }
    let usable = |i: &&RamaIndicator| [i.target, i.current].iter().all(|value| value.is_finite() && *value > 0.0);
    let adjustments = input.indicators.iter().filter(usable).map(|indicator| adjustment(indicator, cpus(input.upper)));
    let adjusted = adjustments.map(|by| milli(cpus(input.requirement) + by)).max();
    Some(adjusted.unwrap_or(input.requirement).max(input.lower).min(input.upper))
}

/// CPUs to add or, negative, to take.
fn adjustment(indicator: &RamaIndicator, upper: f64) -> f64 {
    let RamaIndicator { target, current, parameters } = *indicator;
    let excess = (current - target) / target;
    if (-parameters.deadband_lower..=parameters.deadband_upper).contains(&excess) {
        return 0.0;
    }
    let error = current.ln() - target.ln();
    let gain = if error >= 0.0 { parameters.kp_positive } else { parameters.kp_negative };
    // Not `clamp`, which panics where the bounds are the wrong way round or no numbers.
    let by = (gain * upper * error).min(parameters.adjust_upper).max(parameters.adjust_lower);
    if by.is_finite() { by } else { 0.0 }
}

#[allow(clippy::cast_precision_loss, reason = "exact up to nine trillion CPUs")]
fn cpus(milli: MilliCpu) -> f64 {
    milli.get() as f64 / 1000.0
}

fn milli(cpus: f64) -> MilliCpu {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=2^53 and whole")]
    let milli = (cpus * 1000.0).round().clamp(0.0, EXACT) as u64;
    MilliCpu::new(milli)
}
