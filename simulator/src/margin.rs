//! Which setting of a policy makes it more or less careful.

use gleaner_estimator::{Policy, PolicyName};
use gleaner_model::Permille;

/// The name of the setting that is a policy's margin, as the configuration has it.
#[must_use]
pub fn setting(name: PolicyName) -> &'static str {
    match name {
        PolicyName::Canonical => "canonical.usageFactor",
        PolicyName::UsageMargin => "100% - koordinator.threshold",
        PolicyName::NSigma => "nSigma.sigmas",
        PolicyName::Percentile => "percentile.margin",
        PolicyName::Seasonal => "seasonal.margin",
        PolicyName::Feedback => "feedback.cpuPressure",
        PolicyName::Composite => "composite.margin",
    }
}

/// The margin that a policy has.
#[must_use]
pub fn margin(name: PolicyName, policy: &Policy) -> Permille {
    match name {
        PolicyName::Canonical => policy.canonical.usage_factor,
        PolicyName::UsageMargin => rest(policy.usage_margin_policy.threshold),
        PolicyName::NSigma => policy.n_sigma.sigmas,
        PolicyName::Percentile => policy.percentile.margin,
        PolicyName::Seasonal => policy.seasonal.margin,
        PolicyName::Feedback => policy.feedback.cpu_pressure.unwrap_or(WHOLE),
        PolicyName::Composite => policy.composite.margin,
    }
}

const WHOLE: Permille = Permille::new(1000);

fn rest(share: Permille) -> Permille {
    Permille::new(WHOLE.get().saturating_sub(share.get()))
}

/// The same policy with another margin.
#[must_use]
pub fn with_margin(name: PolicyName, policy: &Policy, margin: Permille) -> Policy {
    let mut policy = policy.clone();
    match name {
        PolicyName::Canonical => policy.canonical.usage_factor = margin,
        PolicyName::UsageMargin => policy.usage_margin_policy.threshold = rest(margin),
        PolicyName::NSigma => policy.n_sigma.sigmas = margin,
        PolicyName::Percentile => policy.percentile.margin = margin,
        PolicyName::Seasonal => policy.seasonal.margin = margin,
        PolicyName::Feedback => policy.feedback.cpu_pressure = Some(margin),
        PolicyName::Composite => policy.composite.margin = margin,
    }
    policy
}

/// The margins that a sweep tries.
#[must_use]
pub fn margins(name: PolicyName) -> Vec<Permille> {
    let thousandths: &[u32] = match name {
        PolicyName::Canonical => &[1000, 1100, 1500, 2000, 3000],
        PolicyName::UsageMargin => &[100, 150, 200, 250, 300, 400, 500],
        PolicyName::NSigma => &[0, 1000, 2000, 5000],
        PolicyName::Percentile => &[0, 50, 200, 500],
        PolicyName::Seasonal => &[0, 20, 100, 200],
        PolicyName::Feedback => &[20, 100, 500],
        PolicyName::Composite => &[0, 5, 10, 40, 80, 150, 250],
    };
    thousandths.iter().copied().map(Permille::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_margin_of_a_sweep_is_the_policys_own_afterwards_and_makes_a_valid_one() {
        for name in PolicyName::ALL {
            for each in margins(name) {
                let changed = with_margin(name, &Policy::default(), each);
                assert_eq!((margin(name, &changed), changed.validate()), (each, Ok(())), "{name} {}", setting(name));
            }
        }
    }
}
