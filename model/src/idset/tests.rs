#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn set(text: &str) -> CpuSet {
    text.parse().unwrap()
}

#[test]
fn kernel_list_text_is_read_and_written() {
    for (text, written) in [
        ("", ""),
        ("\n", ""),
        ("0", "0"),
        ("0-3\n", "0-3"),
        ("3,1,2", "1-3"),
        ("0-1,3,5-6", "0-1,3,5-6"),
        ("63,64", "63-64"),
        ("127-129,8191", "127-129,8191"),
    ] {
        assert_eq!(set(text).to_string(), written, "input {text:?}");
    }
}

#[test]
fn what_the_kernel_would_not_print_is_refused() {
    for text in ["a", "-1", "1-", "-", "3-1", "1,,2", "+1", "0x1", "8192", "0-4294967295", "99999999999", "1 2"] {
        let got = text.parse::<CpuSet>();
        assert!(got.is_err(), "input {text:?} gave {got:?}");
    }
}

#[test]
fn a_padded_set_keeps_its_column() {
    assert_eq!(format!("{:<6}|", set("0-2")), "0-2   |");
}

fn numbers() -> impl Strategy<Value = BTreeSet<u32>> {
    proptest::collection::btree_set(0u32..300, 0..60)
}

fn of(numbers: &BTreeSet<u32>) -> CpuSet {
    numbers.iter().map(|n| CpuId::new(*n)).collect()
}

proptest! {
    #[test]
    fn text_round_trips(a in numbers()) {
        prop_assert_eq!(set(&of(&a).to_string()), of(&a));
    }

    #[test]
    fn reading_never_panics(text in ".{0,40}") {
        let _ = text.parse::<CpuSet>();
    }

    #[test]
    fn arithmetic_is_that_of_sets(a in numbers(), b in numbers()) {
        let (x, y) = (of(&a), of(&b));
        prop_assert_eq!(x.union(&y), of(&a.union(&b).copied().collect()));
        prop_assert_eq!(x.intersection(&y), of(&a.intersection(&b).copied().collect()));
        prop_assert_eq!(x.difference(&y), of(&a.difference(&b).copied().collect()));
        prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
        prop_assert_eq!(x.is_disjoint(&y), a.is_disjoint(&b));
        prop_assert_eq!(x.len(), a.len());
        prop_assert_eq!(x.cmp(&y), a.iter().cmp(b.iter()));
    }

    #[test]
    fn taking_out_what_was_put_in_leaves_the_set_as_it_was(a in numbers(), id in 0u32..400) {
        let mut x = of(&a);
        if x.insert(CpuId::new(id)) {
            x.remove(CpuId::new(id));
        }
        prop_assert_eq!(x, of(&a));
    }
}
