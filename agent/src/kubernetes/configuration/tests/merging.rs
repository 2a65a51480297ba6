use super::*;
use gleaner_model::{Bytes, MilliCpu, Permille, Span};

const BELOW: &str = "spec.config.";

/// What a configuration is after a change.
fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

#[test]
fn settings_with_the_same_meaning_are_taken_over() {
    let reclaimed = |inner: Value| json!({"reclaimedResourceConfig": inner});
    let cpu = |inner: Value| json!({"evictionConfig": {"cpuPressureEvictionConfig": inner}});
    let memory = |inner: Value| json!({"evictionConfig": {"memoryPressureEvictionConfig": inner}});
    let cases = [
        (json!({}), Config::default()),
        (
            reclaimed(json!({"reservedResourceForAllocate": {"cpu": "1500m", "memory": "5Gi"}})),
            with(|c| (c.estimator.cpu_reserve, c.estimator.memory_reserve) = (MilliCpu::new(1500), Bytes::new(5 << 30))),
        ),
        (reclaimed(json!({"reservedResourceForAllocate": {"cpu": 2}})), with(|c| c.estimator.cpu_reserve = MilliCpu::new(2000))),
        (reclaimed(json!({"enableReclaim": true})), Config::default()),
        (cpu(json!({"enableSuppressionEviction": false})), with(|c| c.eviction.cpu_budget = 0)),
        (cpu(json!({"enableSuppressionEviction": true})), Config::default()),
        (cpu(json!({"maxSuppressionToleranceRate": 2.5})), with(|c| c.eviction.suppression_tolerance = Permille::new(2500))),
        (cpu(json!({"maxSuppressionToleranceRate": 3})), with(|c| c.eviction.suppression_tolerance = Permille::new(3000))),
        (cpu(json!({"minSuppressionToleranceDuration": "1m30s"})), with(|c| c.eviction.suppression_after = Span::from_secs(90))),
        (cpu(json!({"minSuppressionToleranceDuration": "0.5h"})), with(|c| c.eviction.suppression_after = Span::from_secs(1800))),
        (memory(json!({"enableSystemLevelEviction": false})), with(|c| c.eviction.memory_budget = 0)),
        (
            json!({"advisorConfig": {"cpuAdvisorConfig": {"allowSharedCoresOverlapReclaimedCores": true}}}),
            with(|c| c.placement.mode = true.into()),
        ),
        (json!({"evictionConfig": {"dryRun": ["*"]}}), with(|c| (c.eviction.cpu_budget, c.eviction.memory_budget) = (0, 0))),
        (
            own(json!({"estimator": {"usageMargin": "20%"}, "placement": {"reserve": {"count": 1}}, "qos": {"selectors": []}})),
            with(|c| {
                c.estimator.usage_margin = Permille::new(200);
                c.placement.reserve = gleaner_qrm_plugins::ReserveRule::Count(1);
            }),
        ),
    ];
    for (config, expected) in cases {
        let merged = merged(config.clone()).unwrap_or_else(|problems| panic!("{config}: {problems:?}"));
        assert_eq!(merged.config, expected, "{config}");
        assert_eq!(merged.ignored, Vec::<String>::new(), "{config}");
    }
}

#[test]
fn without_reclaim_nothing_is_lent_whatever_else_is_set() {
    let merged = merged(json!({
        "reclaimedResourceConfig": {"enableReclaim": false, "reservedResourceForAllocate": {"cpu": "1"}},
        "gleaner": {"estimator": {"cpuReserve": "1", "memoryReserve": "1Gi"}},
    }));
    let estimator = merged.unwrap().config.estimator;
    assert!(!estimator.lend, "{estimator:?}");
    assert_eq!((estimator.cpu_reserve, estimator.memory_reserve), (MilliCpu::from_cpus(1), Bytes::new(1 << 30)), "the rest is as it says");
}

#[test]
fn a_dry_run_of_everything_outranks_what_switches_eviction_on() {
    let merged = merged(json!({
        "evictionConfig": {
            "dryRun": ["a", "*"],
            "cpuPressureEvictionConfig": {"enableSuppressionEviction": true},
            "memoryPressureEvictionConfig": {"enableSystemLevelEviction": true},
        },
        "gleaner": {"eviction": {"cpuBudget": 3}},
    }));
    let eviction = merged.unwrap().config.eviction;
    assert_eq!((eviction.cpu_budget, eviction.memory_budget), (0, 0));
}

#[test]
fn the_own_sections_outrank_katalysts_settings_and_the_file() {
    let base = with(|c| (c.estimator.cpu_reserve, c.estimator.usage_margin) = (MilliCpu::new(7), Permille::new(70)));
    let object = json!({
        "reclaimedResourceConfig": {"reservedResourceForAllocate": {"cpu": "4", "memory": "1Gi"}},
        "gleaner": {"estimator": {"cpuReserve": "3"}},
    });
    let estimator = merge(&base, &chosen("a", object)).unwrap().config.estimator;
    let expected = gleaner_estimator::Policy { cpu_reserve: MilliCpu::new(3000), memory_reserve: Bytes::new(1 << 30), ..base.estimator };
    assert_eq!(estimator, expected, "what the object does not set is the file's");
}

#[test]
fn a_rule_that_the_file_switched_off_can_be_switched_on() {
    let base = with(|c| (c.eviction.cpu_budget, c.eviction.memory_budget) = (0, 9));
    let object = json!({"evictionConfig": {
        "cpuPressureEvictionConfig": {"enableSuppressionEviction": true},
        "memoryPressureEvictionConfig": {"enableSystemLevelEviction": true},
    }});
    let eviction = merge(&base, &chosen("a", object)).unwrap().config.eviction;
    assert_eq!((eviction.cpu_budget, eviction.memory_budget), (1, 9), "a budget that is set stays");
}

#[test]
fn what_means_nothing_here_is_ignored_by_name() {
    let spec = json!({
        "later": {"a": 1},
        "revisionHistoryLimit": 3,
        "config": {
            "reclaimedResourceConfig": {
                "enableReclaim": true,
                "minReclaimedResourceForReport": {"cpu": "4"},
                "reservedResourceForAllocate": {"cpu": "1", "example.com/gpu": "1"},
                "disableReclaimSharePools": ["x"],
                "cpuHeadroomConfig": {"utilBasedConfig": {"enable": true, "maxOversoldRate": 1.5}},
                "memoryHeadroomConfig": {},
            },
            "evictionConfig": {
                "dryRun": ["reclaimed-resource-pressure"],
                "reclaimedResourcesEvictionConfig": {"evictionThreshold": {"resource.katalyst.kubewharf.io/reclaimed_millicpu": 5}},
                "systemLoadPressureEvictionConfig": null,
            },
            "qrmPluginConfig": {"cpuPluginConfig": {"preferUseExistNUMAHintResult": true}},
        },
    });
    let object = object("a", spec);
    let chosen = Chosen { content: object.content.unwrap(), ..chosen("a", json!({})) };
    let merged = merge(&Config::default(), &chosen).unwrap();
    let expected = [
        "spec.config.evictionConfig.dryRun",
        "spec.config.evictionConfig.reclaimedResourcesEvictionConfig.evictionThreshold[\"resource.katalyst.kubewharf.io/reclaimed_millicpu\"]",
        "spec.config.qrmPluginConfig.cpuPluginConfig.preferUseExistNUMAHintResult",
        "spec.config.reclaimedResourceConfig.cpuHeadroomConfig.utilBasedConfig.enable",
        "spec.config.reclaimedResourceConfig.cpuHeadroomConfig.utilBasedConfig.maxOversoldRate",
        "spec.config.reclaimedResourceConfig.disableReclaimSharePools",
        "spec.config.reclaimedResourceConfig.minReclaimedResourceForReport.cpu",
        "spec.config.reclaimedResourceConfig.reservedResourceForAllocate[\"example.com/gpu\"]",
        "spec.later.a",
    ];
    assert_eq!(merged.ignored, expected);
    let applied =
        ["spec.config.reclaimedResourceConfig.enableReclaim", "spec.config.reclaimedResourceConfig.reservedResourceForAllocate.cpu"];
    assert_eq!(merged.applied, applied);
}

#[test]
fn an_object_with_anything_wrong_is_refused_with_every_place() {
    let object = json!({
        "reclaimedResourceConfig": {"enableReclaim": "no", "reservedResourceForAllocate": {"cpu": "-1", "memory": "5Gb"}},
        "evictionConfig": {
            "dryRun": "all",
            "cpuPressureEvictionConfig": {
                "enableSuppressionEviction": 1,
                "maxSuppressionToleranceRate": -2,
                "minSuppressionToleranceDuration": "-5m",
            },
            "memoryPressureEvictionConfig": 7,
        },
        "advisorConfig": {"cpuAdvisorConfig": [true]},
        "gleaner": {"estimator": {"usageMargin": 5, "typo": 1}, "standalone": {}, "nonsense": {}, "knobs": 3, "memory": []},
    });
    let problems = merged(object).unwrap_err();
    let places = [
        "reclaimedResourceConfig.enableReclaim: \"no\"",
        "reclaimedResourceConfig.reservedResourceForAllocate.cpu: ",
        "reclaimedResourceConfig.reservedResourceForAllocate.memory: ",
        "evictionConfig.dryRun: ",
        "evictionConfig.cpuPressureEvictionConfig.enableSuppressionEviction: 1 is not true or false",
        "evictionConfig.cpuPressureEvictionConfig.maxSuppressionToleranceRate: -2",
        "evictionConfig.cpuPressureEvictionConfig.minSuppressionToleranceDuration: ",
        "evictionConfig.memoryPressureEvictionConfig: is not an object",
        "advisorConfig.cpuAdvisorConfig: is not an object",
        "gleaner.estimator.usageMargin: ",
        "gleaner.estimator: unknown field `typo`",
        "gleaner.standalone: ",
        "gleaner.nonsense: ",
        "gleaner.knobs: ",
        "gleaner.memory: ",
    ];
    for place in places {
        let found = problems.iter().filter(|problem| problem.starts_with(&format!("{BELOW}{place}"))).count();
        assert_eq!(found, 1, "{place:?} in {problems:#?}");
    }
    assert_eq!(problems.len(), places.len(), "{problems:#?}");
    assert!(problems.iter().all(|problem| !problem.contains('\n')), "{problems:#?}");
}

#[test]
fn what_the_checks_find_is_told_with_the_place_in_the_object() {
    let cases = [
        (
            json!({"evictionConfig": {"cpuPressureEvictionConfig": {"maxSuppressionToleranceRate": 0.5}}}),
            "spec.config.evictionConfig.cpuPressureEvictionConfig.maxSuppressionToleranceRate: 50% would evict",
        ),
        (own(json!({"estimator": {"risePerSecond": "0%"}})), "spec.config.gleaner.estimator.risePerSecond: 0%"),
        (own(json!({"takeBack": {"chunk": 0}})), "spec.config.gleaner.takeBack.chunk: "),
    ];
    for (object, expected) in cases {
        let problems = merged(object.clone()).unwrap_err();
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{object}: {problems:?}");
    }
}

#[test]
fn only_sections_that_may_change_are_touched() {
    let base = with(|c| (c.state_dir, c.shadow) = ("/elsewhere".into(), true));
    let merged = merge(&base, &chosen("a", own(json!({"memory": {"reserve": "1Gi"}})))).unwrap();
    let mut expected = base;
    expected.memory.reserve = Bytes::new(1 << 30);
    assert_eq!(merged.config, expected);
    for section in ["shadow", "stateDir", "kubernetes", "report", "nri", "plugins", "qrm", "mode"] {
        let mut sections = Map::new();
        sections.insert(section.to_owned(), json!({}));
        assert!(merge(&Config::default(), &chosen("a", own(sections.into()))).is_err(), "{section} needs a restart");
    }
}

#[test]
fn an_object_without_config_sets_nothing_and_one_that_is_too_large_is_of_no_use() {
    let object_without = object("a", json!({}));
    assert_eq!(object_without.content, Ok(Map::new()));
    let large = object("a", json!({"config": {"gleaner": {"x": "y".repeat(65 << 10)}}}));
    assert!(large.content.as_ref().is_err_and(|problem| problem.contains("at most 65536")), "{:?}", large.content);
}

#[test]
fn the_sample_is_right() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/samples/adminqosconfiguration.yaml")).unwrap();
    let object: DynamicObject = serde_saphyr::from_str(&text).unwrap();
    let mut object = ConfigObject::read(object);
    assert!(object.terms.is_ok(), "{:?}", object.terms);
    let content = std::mem::replace(&mut object.content, Ok(Map::new())).unwrap();
    let merged = merge(&Config::default(), &Chosen { content, ..chosen("a", json!({})) }).unwrap();
    assert_eq!(merged.ignored, Vec::<String>::new());
    assert!(merged.applied.len() >= 5, "{:?}", merged.applied);
}
