//! What a pod asks for, held against the machine that it is on.

use super::{NumaPlacement, QosError, annotation};
use crate::idset::NumaSet;

pub(super) fn check(placement: &NumaPlacement, nodes: &NumaSet) -> Result<(), QosError> {
    let (key, value) = match placement {
        NumaPlacement::Ids(ids) if !ids.is_subset(nodes) => ("numa_ids", ids.to_string()),
        NumaPlacement::Number(number) if *number > nodes.count() => ("numa_number", number.to_string()),
        _ => return Ok(()),
    };
    Err(QosError::NotOnMachine { annotation: annotation::CPU_ENHANCEMENT.to_owned(), key: key.to_owned(), value, has: nodes.clone() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::qos::{QosClass, QosSpec};

    fn check(placement: NumaPlacement) -> Result<(), String> {
        let mut spec = QosSpec::of(QosClass::Dedicated);
        spec.cpu.placement = placement;
        spec.check_against(&"0-1,4".parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn nodes_that_the_machine_has_will_do() {
        for placement in [NumaPlacement::Any, NumaPlacement::Number(3), NumaPlacement::Ids("1,4".parse().unwrap())] {
            assert_eq!(check(placement.clone()), Ok(()), "{placement:?}");
        }
    }

    #[test]
    fn nodes_that_the_machine_does_not_have_are_named() {
        let line = |key: &str, value: &str| {
            Err(format!("annotation katalyst.kubewharf.io/cpu_enhancement: {key} is \"{value}\", but the machine has NUMA nodes 0-1,4"))
        };
        assert_eq!(check(NumaPlacement::Ids("1-2".parse().unwrap())), line("numa_ids", "1-2"));
        assert_eq!(check(NumaPlacement::Number(4)), line("numa_number", "4"));
    }
}
