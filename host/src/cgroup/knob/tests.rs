#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::type_complexity, reason = "tests")]

use super::*;
use proptest::prelude::*;

const PAGE: u64 = 4096;

fn at(quota: u64, period: u64) -> KnobValue {
    KnobValue::CpuMax(CpuMax { quota: Limit::At(Micros::new(quota)), period: Micros::new(period) })
}

fn unlimited(period: u64) -> KnobValue {
    KnobValue::CpuMax(CpuMax { quota: Limit::Max, period: Micros::new(period) })
}

fn max(bytes: u64) -> KnobValue {
    KnobValue::MemoryMax(Limit::At(Bytes::new(bytes)))
}

fn parsed(kind: KnobKind, version: Version, texts: &[&str]) -> Result<KnobValue, ValueError> {
    parse(kind, version, &texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>())
}

#[test]
fn the_kernels_texts_are_understood() {
    use KnobKind as K;
    use Version::{V1, V2};
    let cases: [(K, Version, &[&str], KnobValue); 14] = [
        (K::CpusetCpus, V1, &["0-1,4"], KnobValue::Cpus("0-1,4".parse().unwrap())),
        (K::CpusetMems, V2, &[""], KnobValue::Mems("".parse().unwrap())),
        (K::CpuShares, V1, &["1024"], KnobValue::Shares(CpuShares::new(1024))),
        (K::CpuShares, V2, &["39"], KnobValue::Shares(CpuShares::new(999))),
        (K::CpuShares, V2, &["0"], KnobValue::Shares(CpuShares::MIN)),
        (K::CpuIdle, V1, &["1"], KnobValue::Idle(true)),
        (K::CpuMax, V1, &["-1", "100000"], unlimited(100_000)),
        (K::CpuMax, V1, &["5000", "50000"], at(5000, 50_000)),
        (K::CpuMax, V2, &["max 100000"], unlimited(100_000)),
        (K::CpuMax, V2, &["5000 100000"], at(5000, 100_000)),
        (K::MemoryMax, V1, &["9223372036854771712"], KnobValue::MemoryMax(Limit::Max)),
        (K::MemoryMax, V1, &["4096"], max(4096)),
        (K::MemoryHigh, V2, &["max"], KnobValue::MemoryHigh(Limit::Max)),
        (K::MemoryLow, V2, &["max"], KnobValue::MemoryLow(Bytes::new(u64::MAX))),
    ];
    for (kind, version, texts, expected) in cases {
        assert_eq!(parsed(kind, version, texts).unwrap(), expected, "{kind} {texts:?}");
    }
}

#[test]
fn other_texts_are_refused() {
    use Version::{V1, V2};
    let cases: [(KnobKind, Version, &[&str]); 9] = [
        (KnobKind::CpuShares, V1, &[""]),
        (KnobKind::CpuShares, V1, &["+5"]),
        (KnobKind::CpuIdle, V1, &["2"]),
        (KnobKind::CpuMax, V1, &["-1"]),
        (KnobKind::CpuMax, V1, &["-2", "100000"]),
        (KnobKind::CpuMax, V2, &["max"]),
        (KnobKind::MemoryMax, V2, &["-1"]),
        (KnobKind::MemoryMax, V2, &["99999999999999999999999"]),
        (KnobKind::CpusetCpus, V2, &["a"]),
    ];
    for (kind, version, texts) in cases {
        assert!(parsed(kind, version, texts).is_err(), "{kind} {texts:?}");
    }
}

#[test]
fn texts_to_write_follow_the_version() {
    use Version::{V1, V2};
    let idle = KnobValue::Idle(false);
    let cases: [(Version, KnobValue, &[(&str, &str)]); 8] = [
        (V1, KnobValue::Shares(CpuShares::new(2048)), &[("cpu.shares", "2048")]),
        (V2, KnobValue::Shares(CpuShares::new(2048)), &[("cpu.weight", "79")]),
        (V1, KnobValue::Cpus("".parse().unwrap()), &[("cpuset.cpus", "\n")]),
        (V2, unlimited(100_000), &[("cpu.max", "max 100000")]),
        (V1, KnobValue::MemoryMax(Limit::Max), &[("memory.limit_in_bytes", "-1")]),
        (V2, KnobValue::MemoryMax(Limit::Max), &[("memory.max", "max")]),
        (V2, KnobValue::MemoryLow(Bytes::new(1 << 20)), &[("memory.low", "1048576")]),
        (V1, KnobValue::MemoryLow(Bytes::new(1)), &[]),
    ];
    for (version, value, expected) in cases {
        let got = texts(version, &idle, &value);
        assert_eq!(got.iter().map(|(f, t)| (*f, t.as_str())).collect::<Vec<_>>(), expected, "{value:?}");
    }
}

#[test]
fn quota_and_period_of_v1_change_in_the_order_that_never_allows_more_than_both_ends() {
    let (quota, period) = ("cpu.cfs_quota_us", "cpu.cfs_period_us");
    let cases: [(KnobValue, KnobValue, &[&str]); 6] = [
        (at(1000, 100_000), at(2000, 100_000), &[quota]),
        (unlimited(100_000), unlimited(100_000), &[quota]),
        (unlimited(50_000), at(2000, 100_000), &[period, quota]),
        (at(2000, 100_000), unlimited(50_000), &[quota, period]),
        (at(100_000, 100_000), at(200_000, 200_000), &[period, quota]),
        (at(200_000, 200_000), at(100_000, 100_000), &[quota, period]),
    ];
    for (from, to, expected) in cases {
        let got: Vec<&str> = texts(Version::V1, &from, &to).into_iter().map(|(file, _)| file).collect();
        assert_eq!(got, expected, "{from} -> {to}");
    }
}

#[test]
fn values_that_the_kernel_shows_as_one_are_the_same() {
    let shares = |n| KnobValue::Shares(CpuShares::new(n));
    assert!(same(Version::V2, &shares(1024), &shares(1000), PAGE) && !same(Version::V1, &shares(1024), &shares(1000), PAGE));
    assert!(same(Version::V2, &max(8191), &max(4096), PAGE) && !same(Version::V2, &max(8192), &max(4096), PAGE));
    assert!(same(Version::V1, &max(u64::MAX), &KnobValue::MemoryMax(Limit::Max), PAGE));
    assert!(same(Version::V1, &unlimited(1), &unlimited(2), PAGE) && !same(Version::V1, &at(1, 1), &at(1, 2), PAGE));
    assert!(!same(Version::V1, &at(1, 1), &unlimited(1), PAGE) && !same(Version::V1, &unlimited(1), &at(1, 1), PAGE));
    assert!(!same(Version::V1, &KnobValue::Idle(true), &max(1), 0));
}

proptest! {
    #[test]
    fn a_weight_comes_back_from_its_shares(weight in 1u64..=10_000) {
        let value = parsed(KnobKind::CpuShares, Version::V2, &[&weight.to_string()]).unwrap();
        prop_assert_eq!(texts(Version::V2, &value, &value), vec![("cpu.weight", weight.to_string())]);
    }

    #[test]
    fn what_is_written_is_read_as_the_same(quota in 1000u64..10_000_000, period in 1000u64..1_000_000, bytes: u64, shares in 2u64..=262_144) {
        let values = [at(quota, period), unlimited(period), max(bytes), KnobValue::Shares(CpuShares::new(shares)), KnobValue::Idle(true)];
        for version in [Version::V1, Version::V2] {
            for value in &values {
                // A start with another period, so that both files of v1 are written.
                let written = texts(version, &at(1, period + 1), value);
                let of = |file: &&str| written.iter().find(|(name, _)| name == file).map(|(_, text)| text.clone()).unwrap();
                let read: Vec<String> = files(value.kind(), version).iter().map(of).collect();
                // v1 shows the largest number where -1 was written.
                let read: Vec<String> = if value.kind() == KnobKind::MemoryMax && read[0] == "-1" { vec!["9223372036854771712".into()] } else { read };
                let back = parse(value.kind(), version, &read).unwrap();
                prop_assert!(same(version, &back, value, PAGE), "{version:?} {value:?} {read:?} {back:?}");
            }
        }
    }

    #[test]
    fn the_moment_between_quota_and_period_is_never_looser_than_both_ends(q0 in 1000u64..500_000, p0 in 1000u64..500_000, q1 in 1000u64..500_000, p1 in 1000u64..500_000) {
        let steps = texts(Version::V1, &at(q0, p0), &at(q1, p1));
        if steps.len() == 2 {
            let (q, p) = if steps[0].0 == "cpu.cfs_quota_us" { (q1, p0) } else { (q0, p1) };
            prop_assert!(q * p0 <= q0 * p || q * p1 <= q1 * p);
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,24}", other in "[0-9 -]{0,24}") {
        for kind in [KnobKind::CpusetCpus, KnobKind::CpuShares, KnobKind::CpuIdle, KnobKind::CpuMax, KnobKind::MemoryLow, KnobKind::MemoryMax] {
            for version in [Version::V1, Version::V2] {
                let _ = parse(kind, version, &[text.clone(), other.clone()]);
                let _ = parse(kind, version, std::slice::from_ref(&other));
            }
        }
    }
}

#[test]
fn flags_and_scores_are_read_and_written_as_the_kernel_shows_them() {
    let score = |text: &str| parsed(KnobKind::OomScoreAdj, Version::V2, &[text]).map(|value| value.to_string());
    assert_eq!(score("-998"), Ok("-998".to_owned()));
    assert!(score("1001").is_err() && score("").is_err());
    let migrate = parsed(KnobKind::MemoryMigrate, Version::V1, &["1\n"]).unwrap();
    assert_eq!(migrate, KnobValue::MemoryMigrate(true));
    assert_eq!(texts(Version::V1, &migrate, &KnobValue::MemoryMigrate(false)), [("cpuset.memory_migrate", "0".to_owned())]);
    assert_eq!(files(KnobKind::MemoryMigrate, Version::V2).len(), 0, "v2 always moves memory");
}
