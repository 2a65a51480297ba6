//! Which setting of a policy makes it more or less careful.

use gleaner_estimator::{Policy, PolicyName};
use gleaner_model::Permille;

/// The name of the setting that is a policy's margin, as the configuration has it.
#[must_use]
pub fn setting(_name: PolicyName) -> &'static str {
    "usageMargin"
}

/// The margin that a policy has.
#[must_use]
pub fn margin(_name: PolicyName, policy: &Policy) -> Permille {
    policy.usage_margin
}

/// The same policy with another margin.
#[must_use]
pub fn with_margin(_name: PolicyName, policy: &Policy, margin: Permille) -> Policy {
    Policy { usage_margin: margin, ..policy.clone() }
}

/// The margins that a sweep tries, from careless to careful.
#[must_use]
pub fn margins(_name: PolicyName) -> Vec<Permille> {
    [0, 50, 100, 250, 500, 1000, 2000, 4000].map(Permille::new).to_vec()
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
