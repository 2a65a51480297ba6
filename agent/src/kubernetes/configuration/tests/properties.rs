use super::*;
use proptest::prelude::*;
use proptest::sample::{Index, select as one_of};

/// Any JSON, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        one_of(vec!["*", "10%", "1Gi", "500m", "5m", "0-3", "", "-1", "none", "x y"]).prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![one_of(KEYS.to_vec()).prop_map(str::to_owned), ".{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

const KEYS: [&str; 12] = [
    "config",
    "gleaner",
    "estimator",
    "usageMargin",
    "reclaimedResourceConfig",
    "enableReclaim",
    "evictionConfig",
    "dryRun",
    "nodeLabelSelector",
    "ephemeralSelector",
    "nodeNames",
    "updateStrategy",
];

/// Places of settings, with values that are sometimes right.
fn config() -> impl Strategy<Value = Value> {
    let places = vec![
        "reclaimedResourceConfig.enableReclaim",
        "reclaimedResourceConfig.reservedResourceForAllocate.cpu",
        "reclaimedResourceConfig.reservedResourceForAllocate.memory",
        "evictionConfig.dryRun",
        "evictionConfig.cpuPressureEvictionConfig.enableSuppressionEviction",
        "evictionConfig.cpuPressureEvictionConfig.maxSuppressionToleranceRate",
        "evictionConfig.cpuPressureEvictionConfig.minSuppressionToleranceDuration",
        "evictionConfig.memoryPressureEvictionConfig.enableSystemLevelEviction",
        "gleaner.estimator.usageMargin",
        "gleaner.estimator.risePerSecond",
        "gleaner.estimator.staleAfter",
        "gleaner.eviction.memoryPressureSomeAvg10",
        "gleaner.eviction.cpuBudget",
        "gleaner.knobs.memoryHigh",
        "gleaner.takeBack.chunk",
        "unknown.place",
    ];
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (0_u32..2000).prop_map(Value::from),
        (0_u32..2000).prop_map(|n| Value::from(format!("{n}%"))),
        (0_u32..2000).prop_map(|n| Value::from(format!("{n}s"))),
        (0_u32..2000).prop_map(|n| Value::from(format!("{n}Mi"))),
        (0.0..20.0).prop_map(|n: f64| Value::from(n)),
        Just(json!(["*"])),
    ];
    prop::collection::vec((one_of(places), value), 0..5).prop_map(|settings| {
        let mut config = json!({});
        for (place, value) in settings {
            let mut inner = &mut config;
            for part in place.split('.') {
                inner = &mut inner[part];
            }
            *inner = value;
        }
        config
    })
}

proptest! {
    #[test]
    fn a_merge_that_goes_always_validates(config in config()) {
        let base = Config::default();
        let object = chosen("a", config.clone());
        if let Ok(merged) = merge(&base, &object) {
            let mut problems = Vec::new();
            merged.config.check(&mut problems);
            prop_assert_eq!(problems, Vec::<String>::new(), "{}", config);
            prop_assert_eq!(merge(&base, &object), Ok(merged), "the same twice");
        }
    }

    #[test]
    fn every_place_is_taken_over_or_ignored_or_refused(config in config()) {
        let mut places = Vec::new();
        leaves("spec.config", &config, &mut places);
        match merged(config.clone()) {
            Err(problems) => prop_assert!(!problems.is_empty() && problems.iter().all(|p| p.starts_with("spec.")), "{}: {:?}", config, problems),
            Ok(merged) => {
                let mut told: Vec<String> = merged.applied.into_iter().chain(merged.ignored).collect();
                told.sort();
                places.sort();
                prop_assert_eq!(told, places, "{}", config);
            }
        }
    }

    #[test]
    fn any_json_is_read_without_panic(spec in any_json(), node in ".{0,4}") {
        let object = object("a", spec);
        let selection = select(&node, &labels(&[("pool", "a")]), [&object], None, at("2026-01-01T12:00:00Z"));
        prop_assert!(object.terms.is_ok() != selection.unusable.iter().any(|line| line.starts_with("ns/a: ")));
        if let Ok(content) = &object.content {
            let _ = merge(&Config::default(), &Chosen { content: content.clone(), ..chosen("a", json!({})) });
        }
    }

    #[test]
    fn any_selector_is_read_without_panic(text in "[a-z!=<>(), ]{0,24}|.{0,12}") {
        let _ = super::super::selector::Selector::parse(&text);
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order_of_objects(
        specs in prop::collection::vec((0_i64..3, one_of(vec!["", "pool=a", "pool in (a,b)", "pool=b", "!x"]), any::<bool>()), 0..8),
        moves in prop::collection::vec(any::<Index>(), 8),
    ) {
        let spec = |(priority, selector, names): &(i64, &str, bool)| match names {
            true => json!({"ephemeralSelector": {"nodeNames": ["n1"], "lastDuration": format!("{}h", 11 + priority)}}),
            false => json!({"nodeLabelSelector": selector, "priority": priority}),
        };
        let sorted: Vec<ConfigObject> = specs.iter().enumerate().map(|(n, of)| object(&format!("o{n}"), spec(of))).collect();
        let mut mixed = sorted.clone();
        for (n, to) in moves.iter().enumerate().take(mixed.len()) {
            let to = to.index(mixed.len());
            mixed.swap(n, to);
        }
        let labels = labels(&[("pool", "a")]);
        let now = at("2026-01-01T12:00:00Z");
        prop_assert_eq!(select("n1", &labels, &sorted, None, now), select("n1", &labels, &mixed, None, now));
    }
}

/// Places of everything that is not an object; of Gleaner's own sections each key is a place.
fn leaves(path: &str, value: &Value, places: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, inner)| leaves(&format!("{path}.{key}"), inner, places)),
        _ => places.push(path.to_owned()),
    }
}
