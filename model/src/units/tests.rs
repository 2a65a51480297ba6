#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use proptest::prelude::*;

#[test]
fn cpu_text_is_kubernetes_quantity() {
    for (text, milli) in [("1500m", 1500), ("2", 2000), ("0.5", 500), ("0.0001", 1), ("100.5m", 101), (".5", 500), ("1.", 1000)] {
        assert_eq!(text.parse::<MilliCpu>().unwrap().get(), milli, "input {text:?}");
    }
}

#[test]
fn memory_text_is_kubernetes_quantity() {
    for (text, bytes) in [("512Mi", 512 << 20), ("1G", 1_000_000_000), ("4096", 4096), ("1.5Gi", 3 << 29), ("1k", 1000), ("0", 0)] {
        assert_eq!(text.parse::<Bytes>().unwrap().get(), bytes, "input {text:?}");
    }
}

#[test]
fn text_that_is_no_quantity_is_refused() {
    for text in ["", "m", "-1", "1e3x", ".", "Mi", "1 Gi", "99999999999999999999", "NaN", "0x10"] {
        assert!(text.parse::<MilliCpu>().is_err(), "CPU {text:?}");
        assert!(text.parse::<Bytes>().is_err(), "memory {text:?}");
    }
    for text in ["10", "%", "-1%", "99999999999%"] {
        assert!(text.parse::<Permille>().is_err(), "percentage {text:?}");
    }
}

#[test]
fn people_read_three_digits() {
    for (bytes, text) in [(0, "0"), (1023, "1023"), (1536, "1.5Ki"), (10 << 30, "10Gi"), ((1 << 30) - 1, "1023Mi")] {
        assert_eq!(Bytes::new(bytes).rounded(), text);
    }
}

#[test]
fn a_share_of_nothing_is_unknown() {
    assert_eq!(Permille::of(1, 0), None);
    assert_eq!(Permille::of(1, 3), Some(Permille::new(333)));
}

#[test]
fn a_zero_denominator_leaves_the_quantity_alone() {
    assert_eq!(MilliCpu::new(7).scaled(3, 0), MilliCpu::new(7));
}

proptest! {
    #[test]
    fn quantities_round_trip(n in any::<u64>(), p in any::<u32>()) {
        prop_assert_eq!(MilliCpu::new(n).to_string().parse::<MilliCpu>().unwrap().get(), n);
        prop_assert_eq!(Bytes::new(n).to_string().parse::<Bytes>().unwrap().get(), n);
        prop_assert_eq!(Permille::new(p).to_string().parse::<Permille>().unwrap().get(), p);
    }

    #[test]
    fn arithmetic_never_wraps(a in any::<u64>(), b in any::<u64>(), c in any::<u64>()) {
        let (x, y) = (Bytes::new(a), Bytes::new(b));
        prop_assert!(x.plus(y) >= x);
        prop_assert!(x.minus(y) <= x);
        prop_assert!(c == 0 || x.scaled(b, c).get() == u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap_or(u64::MAX));
    }

    #[test]
    fn reading_never_panics(text in ".{0,20}") {
        let _ = (text.parse::<MilliCpu>(), text.parse::<Bytes>(), text.parse::<Permille>());
    }
}

#[test]
fn what_is_no_text_is_refused_with_an_example() {
    let told = serde_json::from_str::<MilliCpu>("{}").unwrap_err().to_string();
    assert_eq!(told, "is no amount of CPU such as 500m or 2");
    let told = serde_json::from_str::<Permille>("[1]").unwrap_err().to_string();
    assert_eq!(told, "is no share such as 10%");
}
