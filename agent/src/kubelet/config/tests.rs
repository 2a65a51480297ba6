use super::*;
use proptest::prelude::*;
use serde_json::json;

/// As a kubelet 1.33 of kubeadm answers, what is not read left out.
fn configz() -> Value {
    json!({"kubeletconfig": {
        "enableServer": true, "syncFrequency": "1m0s", "port": 10250, "cgroupsPerQOS": true,
        "cgroupDriver": "systemd", "cgroupRoot": "/",
        "cpuManagerPolicy": "static", "cpuManagerPolicyOptions": {"full-pcpus-only": "true"}, "cpuManagerReconcilePeriod": "10s",
        "memoryManagerPolicy": "Static", "topologyManagerPolicy": "single-numa-node", "topologyManagerScope": "pod",
        "reservedSystemCPUs": "0-1,8-9",
        "kubeReserved": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"}, "systemReserved": {"memory": "256Mi"},
        "reservedMemory": [{"numaNode": 0, "limits": {"memory": "1Gi"}}],
        "evictionHard": {"memory.available": "5%", "nodefs.available": "10%"},
        "featureGates": {"MemoryQoS": true, "Other": false},
        "enforceNodeAllocatable": ["pods"], "memorySwap": {}
    }})
}

fn from(inner: Value) -> Result<KubeletConfig, String> {
    KubeletConfig::from_configz(&json!({ "kubeletconfig": inner }).to_string())
}

#[test]
fn the_kubelets_answer_is_read() {
    let config = KubeletConfig::from_configz(&configz().to_string()).unwrap();
    let expected = KubeletConfig {
        source: ConfigSource::Configz,
        assumed: Vec::new(),
        cgroup_driver: CgroupDriver::Systemd,
        cgroup_root: CgroupPath::root(),
        cpu_manager_policy: "static".into(),
        cpu_manager_policy_options: BTreeMap::from([("full-pcpus-only".into(), "true".into())]),
        memory_manager_policy: "Static".into(),
        topology_manager_policy: "single-numa-node".into(),
        topology_manager_scope: "pod".into(),
        reserved_system_cpus: Some("0-1,8-9".parse().unwrap()),
        kube_reserved: Reserved { cpu: Some(MilliCpu::new(500)), memory: Some(Bytes::new(1 << 30)) },
        system_reserved: Reserved { cpu: None, memory: Some(Bytes::new(256 << 20)) },
        memory_qos: true,
        eviction_memory: Some(MemoryThreshold::Share(Permille::new(50))),
        version: None,
    };
    assert_eq!(config, expected);
}

#[test]
fn what_a_file_does_not_say_is_kubelets_default_and_named() {
    let config =
        KubeletConfig::from_file("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\n").unwrap();
    assert_eq!(config.source, ConfigSource::File);
    assert_eq!((config.cgroup_driver, config.cpu_manager_policy.as_str()), (CgroupDriver::Systemd, "none"));
    assert_eq!((config.memory_manager_policy.as_str(), config.topology_manager_scope.as_str()), ("None", "container"));
    assert_eq!((config.reserved_system_cpus, config.kube_reserved), (None, Reserved::default()));
    assert!(config.assumed.contains(&"cpuManagerPolicy") && !config.assumed.contains(&"cgroupDriver"), "{:?}", config.assumed);
    assert_eq!(from(json!({})).unwrap().assumed, Vec::<&str>::new(), "an answer is complete");
    let empty = from(json!({"cgroupDriver": "", "cgroupRoot": "", "reservedSystemCPUs": "", "kubeReserved": null})).unwrap();
    assert_eq!(empty, from(json!({})).unwrap(), "what is empty says nothing");
}

#[test]
fn the_threshold_of_hard_evictions_is_kubelets_unless_others_are_set() {
    let bytes = |mebi: u64| Some(MemoryThreshold::Bytes(Bytes::new(mebi << 20)));
    let table = [
        (json!({}), bytes(100)),
        (json!({"evictionHard": {}}), bytes(100)),
        (json!({"evictionHard": {"memory.available": "500Mi"}}), bytes(500)),
        (json!({"evictionHard": {"nodefs.available": "10%"}}), None),
        (json!({"evictionHard": {"nodefs.available": "10%"}, "mergeDefaultEvictionSettings": true}), bytes(100)),
        (json!({"evictionHard": {"memory.available": "0%"}}), None),
        (json!({"evictionHard": {"memory.available": "100%"}}), None),
        (json!({"evictionHard": {"memory.available": "2.5%"}}), Some(MemoryThreshold::Share(Permille::new(25)))),
    ];
    for (config, threshold) in table {
        assert_eq!(from(config.clone()).unwrap().eviction_memory, threshold, "{config}");
    }
}

#[test]
fn what_is_wrong_is_one_line_with_its_key() {
    let table = [
        (json!({"kubeReserved": {"cpu": "lots"}}), "kubeReserved.cpu: "),
        (json!({"systemReserved": {"memory": "1Q"}}), "systemReserved.memory: "),
        (json!({"evictionHard": {"memory.available": "x%"}}), "evictionHard.memory.available: "),
        (json!({"cgroupRoot": "/a/../b"}), "cgroupRoot: "),
        (json!({"kind": "Pod"}), "is of kind \"Pod\""),
        (json!({"cgroupDriver": "other"}), "cgroupDriver: \"other\" is neither"),
        (json!([]), "is not a mapping"),
    ];
    for (config, start) in table {
        let error = from(config.clone()).unwrap_err();
        assert!(error.starts_with(start) && !error.contains('\n'), "{config}: {error}");
    }
    for text in ["", "null", "{}", "[", "404 page not found"] {
        assert!(KubeletConfig::from_configz(text).is_err(), "{text:?}");
    }
    for text in ["", "- a\n", "a: [", "kubeReserved: 3"] {
        assert!(KubeletConfig::from_file(text).is_err_and(|error| !error.contains('\n')), "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}", key in "cgroupRoot|cpuManagerPolicy|reservedSystemCPUs|kubeReserved|evictionHard|featureGates", value in "\\PC{0,20}") {
        let _ = KubeletConfig::from_file(&text);
        let _ = KubeletConfig::from_configz(&text);
        let _ = from(json!({ key.clone(): value.clone() }));
        let _ = from(json!({ key: { "memory.available": value.clone(), "cpu": value } }));
    }
}
