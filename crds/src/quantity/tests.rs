#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;

use super::{MilliValue, WholeValue, milli_value, value};
use crate::error::QuantityError::{self, Negative, NoDigits, Overflow, Suffix};

/// Text, in thousandths, in whole units.
type Row = (&'static str, Result<u64, QuantityError>, Result<u64, QuantityError>);

const ROWS: &[Row] = &[
    ("0", Ok(0), Ok(0)),
    ("-0", Ok(0), Ok(0)),
    ("-0.00m", Ok(0), Ok(0)),
    ("0e999999", Ok(0), Ok(0)),
    ("1", Ok(1000), Ok(1)),
    ("+1", Ok(1000), Ok(1)),
    ("0001", Ok(1000), Ok(1)),
    ("1.", Ok(1000), Ok(1)),
    (".5", Ok(500), Ok(1)),
    ("1.G", Ok(1_000_000_000_000), Ok(1_000_000_000)),
    ("2k", Ok(2_000_000), Ok(2000)),
    ("500", Ok(500_000), Ok(500)),
    ("1500m", Ok(1500), Ok(2)),
    ("0.1m", Ok(1), Ok(1)),
    ("100.1m", Ok(101), Ok(1)),
    ("1n", Ok(1), Ok(1)),
    ("1u", Ok(1), Ok(1)),
    ("1000000n", Ok(1), Ok(1)),
    ("1000001n", Ok(2), Ok(1)),
    ("1M", Ok(1_000_000_000), Ok(1_000_000)),
    ("1T", Ok(1_000_000_000_000_000), Ok(1_000_000_000_000)),
    ("1P", Ok(1_000_000_000_000_000_000), Ok(1_000_000_000_000_000)),
    ("1E", Err(Overflow), Ok(1_000_000_000_000_000_000)),
    ("1Ki", Ok(1_024_000), Ok(1024)),
    ("1.5Ki", Ok(1_536_000), Ok(1536)),
    ("0.0001Ki", Ok(103), Ok(1)),
    ("1Mi", Ok(1_048_576_000), Ok(1_048_576)),
    ("1Gi", Ok(1_073_741_824_000), Ok(1_073_741_824)),
    ("1Ti", Ok(1_099_511_627_776_000), Ok(1_099_511_627_776)),
    ("1Pi", Ok(1_125_899_906_842_624_000), Ok(1_125_899_906_842_624)),
    ("7Ei", Err(Overflow), Ok(8_070_450_532_247_928_832)),
    ("8Ei", Err(Overflow), Err(Overflow)),
    ("1e3", Ok(1_000_000), Ok(1000)),
    ("1E3", Ok(1_000_000), Ok(1000)),
    ("1e+3", Ok(1_000_000), Ok(1000)),
    ("1E-3", Ok(1), Ok(1)),
    ("15e-1", Ok(1500), Ok(2)),
    ("1e-999999999999", Ok(1), Ok(1)),
    ("1e999999999999", Err(Overflow), Err(Overflow)),
    ("9223372036854775807", Err(Overflow), Ok(9_223_372_036_854_775_807)),
    ("9223372036854775808", Err(Overflow), Err(Overflow)),
    ("9223372036854775806.1", Err(Overflow), Ok(9_223_372_036_854_775_807)),
    ("9223372036854775807.1", Err(Overflow), Err(Overflow)),
    ("9223372036854775807m", Ok(9_223_372_036_854_775_807), Ok(9_223_372_036_854_776)),
    // More digits than 128 bits hold: the last one still decides the rounding.
    ("1.00000000000000000000000000000000000000000000000000", Ok(1000), Ok(1)),
    ("1.00000000000000000000000000000000000000000000000001", Ok(1001), Ok(2)),
    ("100000000000000000000000000000000000000000000e-44", Ok(1000), Ok(1)),
    ("-1", Err(Negative), Err(Negative)),
    ("-1n", Err(Negative), Err(Negative)),
    ("", Err(NoDigits), Err(NoDigits)),
    ("-", Err(NoDigits), Err(NoDigits)),
    (".", Err(NoDigits), Err(NoDigits)),
    ("Ki", Err(NoDigits), Err(NoDigits)),
    ("--1", Err(NoDigits), Err(NoDigits)),
    (" 1", Err(NoDigits), Err(NoDigits)),
    ("1 ", Err(Suffix), Err(Suffix)),
    ("1K", Err(Suffix), Err(Suffix)),
    ("1ki", Err(Suffix), Err(Suffix)),
    ("1mi", Err(Suffix), Err(Suffix)),
    ("1e", Err(Suffix), Err(Suffix)),
    ("1e3k", Err(Suffix), Err(Suffix)),
    ("1e1.5", Err(Suffix), Err(Suffix)),
    ("1e99999999999999999999", Err(Suffix), Err(Suffix)),
    ("1.2.3", Err(Suffix), Err(Suffix)),
    ("1,5", Err(Suffix), Err(Suffix)),
    ("1\u{661}", Err(Suffix), Err(Suffix)),
    ("0x10", Err(Suffix), Err(Suffix)),
];

#[test]
fn quantities_are_read_exactly_and_rounded_up() {
    for (text, milli, whole) in ROWS {
        assert_eq!(milli_value(text).map(MilliValue::get), *milli, "thousandths of {text:?}");
        assert_eq!(value(text).map(WholeValue::get), *whole, "whole units of {text:?}");
    }
}

#[test]
fn a_milli_value_is_written_whole_where_it_can_be() {
    for (thousandths, text) in [(0, "0"), (1, "1m"), (1000, "1"), (1500, "1500m"), (64_000, "64")] {
        assert_eq!(MilliValue::new(thousandths).to_quantity().0, text, "{thousandths} thousandths");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = milli_value(&text);
        let _ = value(&text);
    }

    #[test]
    fn no_text_that_resembles_a_quantity_panics(text in "[+-]?[0-9]{0,40}[.]?[0-9]{0,40}([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{0,21})?") {
        let _ = milli_value(&text);
        let _ = value(&text);
    }

    #[test]
    fn what_is_written_is_read_back(number in 0..=i64::MAX.unsigned_abs()) {
        prop_assert_eq!(milli_value(&MilliValue::new(number).to_string()), Ok(MilliValue::new(number)));
        prop_assert_eq!(value(&WholeValue::new(number).to_string()), Ok(WholeValue::new(number)));
    }

    #[test]
    fn the_whole_value_is_the_milli_value_rounded_up(number in 0..1_000_000_000_u64, suffix in "[numkM]|Ki|Mi|") {
        let text = format!("{number}{suffix}");
        let milli = milli_value(&text).map(MilliValue::get);
        prop_assert_eq!(value(&text).map(WholeValue::get), milli.map(|m| m.div_ceil(1000)), "{}", text);
    }

    #[test]
    fn a_decimal_agrees_with_integer_arithmetic(whole in 0..1_000_000_u128, nano in 0..1_000_000_000_u128, power in 0..5_u32) {
        let suffix = ["", "Ki", "Mi", "Gi", "Ti"].get(usize::try_from(power).unwrap()).copied().unwrap();
        let text = format!("{whole}.{nano:09}{suffix}");
        let nanos = (whole * 1_000_000_000 + nano) << (10 * power);
        let expected = u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap();
        prop_assert_eq!(value(&text), Ok(WholeValue::new(expected)), "{}", text);
    }
}
