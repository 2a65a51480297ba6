use super::*;
use gleaner_model::{Bytes, ContainerKind, KubeQos, MilliCpu, QosClass};

const DEDICATED: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: db
  namespace: prod
  annotations:
    katalyst.kubewharf.io/qos_level: dedicated_cores
    katalyst.kubewharf.io/memory_enhancement: '{"numa_binding": true}'
spec:
  terminationGracePeriodSeconds: 5
  initContainers:
  - name: prepare
    command: [prepare]
  containers:
  - name: db
    command: [db]
    args: [--fast]
    env: [{name: A, value: b}]
    resources:
      limits: {cpu: 2, memory: 1Gi}
"#;

fn one(text: &str) -> Manifest {
    let mut all = parse("a.yaml", text, &QosConfig::default());
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn problems(text: &str) -> String {
    one(text).pod.unwrap_err().join(" | ")
}

#[test]
fn a_manifest_becomes_a_pod_and_its_commands() {
    let manifest = one(DEDICATED);
    let spec = manifest.pod.unwrap();
    assert_eq!(spec.text, DEDICATED);
    assert_eq!(spec.pod.name.to_string(), "prod/db");
    assert_eq!(spec.pod.class(), QosClass::Dedicated);
    assert_eq!(spec.pod.cpu_request(), MilliCpu::from_cpus(2), "a limit is the request too");
    assert_eq!(spec.pod.memory_request(), Bytes::new(1 << 30));
    assert_eq!(spec.pod.kube_qos, KubeQos::Burstable, "the init container asks for nothing");
    assert_eq!(spec.pod.grace.as_secs(), 5);
    let kinds: Vec<ContainerKind> = spec.pod.containers.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [ContainerKind::Init, ContainerKind::Main]);
    assert_eq!(spec.runs[1].argv, ["db", "--fast"]);
    assert_eq!(spec.runs[1].env["A"], "b");
}

#[test]
fn huge_pages_are_whole_and_not_overcommitted() {
    let with = |resources: &str| DEDICATED.replace("limits: {cpu: 2, memory: 1Gi}", resources);
    let spec = one(&with("limits: {cpu: 2, memory: 1Gi, hugepages-2Mi: 4Mi, hugepages-1Gi: 0}")).pod.unwrap();
    assert_eq!(spec.pod.hugepages(), [("2Mi".parse().unwrap(), Bytes::new(4 << 20))].into());
    for (resources, problem) in [
        ("limits: {cpu: 2, hugepages-2Mi: 3Mi}", "resources.limits[hugepages-2Mi]: 3Mi is no multiple of the page size 2Mi"),
        ("limits: {cpu: 2, hugepages-2Mi: 4Mi, hugepages-2048Ki: 4Mi}", "huge pages of 2Mi stand there twice"),
        ("limits: {cpu: 2, hugepages-huge: 4Mi}", "resources[hugepages-huge]: \"huge\" is not an amount of memory"),
        ("limits: {cpu: 2, hugepages-2Mi: -2Mi}", "resources.limits[hugepages-2Mi]: \"-2Mi\""),
        ("requests: {cpu: 2, hugepages-2Mi: 2Mi}", "resources.limits[hugepages-2Mi] is missing: huge pages cannot be overcommitted"),
        (
            "{limits: {cpu: 2, hugepages-2Mi: 4Mi}, requests: {hugepages-2Mi: 2Mi}}",
            "resources.requests[hugepages-2Mi] is not the limit: huge pages cannot be overcommitted",
        ),
    ] {
        let found = problems(&with(resources));
        assert!(found.contains(problem), "{resources}: {found}");
    }
}

#[test]
fn variables_in_a_command_are_expanded_as_kubernetes_does() {
    for (word, expected) in [("x$(A)y$(A)", "xbyb"), ("$$(A)", "$(A)"), ("$(B) $A $", "$(B) $A $"), ("$(", "$("), ("plain", "plain")] {
        let text = DEDICATED.replace("--fast", &format!("\"{word}\""));
        assert_eq!(one(&text).pod.unwrap().runs[1].argv[1], expected, "{word}");
    }
}

#[test]
fn a_changed_manifest_is_another_pod() {
    let uid = |text: &str| one(text).pod.unwrap().pod.uid.clone();
    assert_eq!(uid(DEDICATED), uid(DEDICATED));
    assert_ne!(uid(DEDICATED), uid(&DEDICATED.replace("--fast", "--slow")));
}

#[test]
fn native_requests_of_a_reclaimed_pod_are_its_promise() {
    let text = r"
apiVersion: v1
kind: Pod
metadata: {name: batch, annotations: {katalyst.kubewharf.io/qos_level: reclaimed_cores}}
spec:
  containers:
  - {name: a, command: [x], resources: {requests: {cpu: 300m, memory: 64Mi}}}
  - {name: b, command: [x], resources: {limits: {resource.katalyst.kubewharf.io/reclaimed_millicpu: 2k}}}
";
    let pod = &one(text).pod.unwrap().pod;
    assert_eq!(pod.reclaimed_cpu(), MilliCpu::new(2300));
    assert_eq!(pod.reclaimed_memory(), Bytes::new(64 << 20));
    assert_eq!((pod.cpu_request(), pod.kube_qos), (MilliCpu::ZERO, KubeQos::BestEffort));
}

#[test]
fn what_is_wrong_is_said_in_one_line_each() {
    for (text, part) in [
        ("a: [", "is not a Kubernetes object"),
        ("kind: Deployment\n", "has no apiVersion"),
        (&DEDICATED.replace("limits: {cpu: 2, memory: 1Gi}", "limits: {memory: 1Gi}"), "must request CPU"),
        ("apiVersion: apps/v1\nkind: Deployment\n", "is apps/v1/Deployment"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "spec.containers is empty"),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, command: [x]}]}\n", "metadata.name is missing"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: ../x}\nspec: {containers: [{name: a, command: [x]}]}\n", "is not a legal name"),
        (&DEDICATED.replace("dedicated_cores", "gold"), "unknown QoS class \"gold\""),
        (&DEDICATED.replace("numa_binding", "numa_exclusive"), "numa_exclusive is \"true\", but numa_binding is not"),
        (&DEDICATED.replace("cpu: 2", "cpu: -2"), "resources.limits[cpu]"),
        (&DEDICATED.replace("command: [db]", "image: db"), "command is missing"),
        (&DEDICATED.replace("name: prepare", "name: db"), "a container of this name is there already"),
        (&DEDICATED.replace("args: [--fast]", "argz: [--fast]"), "unknown field spec.containers[0].argz"),
        (&DEDICATED.replace("value: b", "valueFrom: {fieldRef: {fieldPath: x}}"), "valueFrom cannot be resolved"),
        (&DEDICATED.replace("  terminationGracePeriodSeconds: 5", "  restartPolicy: Sometimes"), "\"Sometimes\" is not"),
    ] {
        let found = problems(text);
        assert!(found.contains(part), "{part:?} is not in {found:?} for {text}");
        assert!(!found.contains('\n'), "{found:?}");
    }
}

#[test]
fn of_two_pods_with_one_name_the_first_file_wins() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["b.yaml", "a.yaml"] {
        put(dir.path(), file, DEDICATED);
    }
    put(dir.path(), ".hidden.yaml", "nonsense");
    put(dir.path(), "notes.txt", "nonsense");
    let manifests = read_folder(dir.path(), &QosConfig::default()).unwrap();
    assert_eq!(manifests.len(), 2);
    assert!(manifests[0].pod.is_ok());
    let refused = manifests[1].pod.as_ref().unwrap_err().concat();
    assert_eq!(refused, "a pod named prod/db is in a.yaml already; names must be unique");
}

#[test]
fn of_two_pods_with_one_uid_the_first_wins() {
    let pod = |name: &str| DEDICATED.replace("name: db\n  namespace", &format!("name: {name}\n  uid: same\n  namespace"));
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.yaml", &pod("one"));
    put(dir.path(), "b.yaml", &pod("two"));
    let manifests = read_folder(dir.path(), &QosConfig::default()).unwrap();
    assert!(manifests[0].pod.is_ok());
    assert_eq!(manifests[1].pod.as_ref().unwrap_err().concat(), "metadata.uid same is that of the pod in a.yaml; uids must be unique");
}

#[test]
fn a_file_may_hold_several_pods() {
    let text = format!("---\n{DEDICATED}\n---\n# nothing\n---\n{}", DEDICATED.replace("name: db", "name: other"));
    let all = parse("a.yaml", &text, &QosConfig::default());
    let sources: Vec<&str> = all.iter().map(|m| m.source.as_str()).collect();
    assert_eq!(sources, ["a.yaml (document 1)", "a.yaml (document 2)"]);
}

#[test]
fn what_is_no_text_is_refused_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.yaml", DEDICATED);
    std::fs::File::create(dir.path().join("b.yaml")).and_then(|mut f| std::io::Write::write_all(&mut f, &[0xff, 0xfe])).unwrap();
    nix::unistd::mkfifo(&dir.path().join("c.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let manifests = read_folder(dir.path(), &QosConfig::default()).unwrap();
    assert!(manifests[0].pod.is_ok());
    assert_eq!(manifests[1].pod, Err(vec!["cannot be read: is not UTF-8 text".to_owned()]));
    assert_eq!(manifests[2].pod, Err(vec!["cannot be read: is not a regular file".to_owned()]));
}

fn put(dir: &Path, name: &str, text: &str) {
    std::fs::File::create(dir.join(name)).and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes())).unwrap();
}

#[test]
fn a_manifest_that_became_wrong_goes_on_asking_for_its_pod() {
    let right = parse("a.yaml", DEDICATED, &QosConfig::default());
    let before = wanted(&right, &BTreeMap::new());
    assert_eq!(before.len(), 1);
    let wrong = parse("a.yaml", "a: [", &QosConfig::default());
    assert_eq!(wanted(&wrong, &before), before);
    assert_eq!(wanted(&wrong, &BTreeMap::new()).len(), 0, "what was never right asks for nothing");
    assert_eq!(wanted(&[], &before).len(), 0, "a file that is gone asks for nothing");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("manifests.json");
    save_last_good(&file, &before).unwrap();
    assert_eq!(load_last_good(&file, &QosConfig::default()), before);
    assert_eq!(load_last_good(&dir.path().join("none"), &QosConfig::default()), BTreeMap::new());
}

#[test]
fn extended_resources_are_whole_and_have_one_amount() {
    let with = |resources: &str| DEDICATED.replace("limits: {cpu: 2, memory: 1Gi}", resources);
    let asked = |resources: &str| {
        let pod = one(&with(resources)).pod.unwrap();
        let each = pod.pod.containers[1].extended.iter().map(|(name, count)| format!("{name}={count}"));
        each.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(asked("limits: {cpu: 2, example.com/fpga: 2, example.com/tape: 1k}"), "example.com/fpga=2 example.com/tape=1000");
    assert_eq!(asked("{limits: {cpu: 2, a.b/c: 2}, requests: {a.b/c: 2000m}}"), "a.b/c=2");
    assert_eq!(asked("limits: {cpu: 2, resource.katalyst.kubewharf.io/reclaimed_millicpu: 5, hugepages-2Mi: 2Mi}"), "", "not others'");
    for (resources, problem) in [
        ("{limits: {cpu: 2, a.b/c: 2}, requests: {a.b/c: 1}}", "resources.requests[a.b/c] is 1, but must be the limit, which is 2"),
        ("{limits: {cpu: 2}, requests: {a.b/c: 1}}", "resources.limits[a.b/c] is missing"),
        ("limits: {cpu: 2, a.b/c: 500m}", "\"500m\" is not a whole number"),
        ("limits: {cpu: 2, a.b/c: -1}", "resources.limits[a.b/c]: \"-1\""),
        ("limits: {cpu: 2, A.b/c: 1}", "the name of an extended resource"),
    ] {
        let found = problems(&with(resources));
        assert!(found.contains(problem), "{resources}: {found}");
    }
}

proptest::proptest! {
    #[test]
    fn reading_never_panics(text in ".{0,80}", at in 0usize..700, byte: u8) {
        let mut damaged = DEDICATED.as_bytes().to_vec();
        if let Some(b) = damaged.get_mut(at) {
            *b = byte;
        }
        let _ = (parse("a.yaml", &text, &QosConfig::default()), parse("a.yaml", &String::from_utf8_lossy(&damaged), &QosConfig::default()));
    }
}

#[test]
fn a_pod_without_an_owner_is_a_workload_of_its_own() {
    let workload = |text: &str| one(text).pod.unwrap().pod.workload.clone().map(String::from);
    assert_eq!(workload(DEDICATED).as_deref(), Some("prod/Pod/db"));
    let owned = DEDICATED.replace(
        "  namespace: prod\n",
        "  namespace: prod\n  labels: {pod-template-hash: 5d4f}\n  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: db-5d4f, uid: x, controller: true}]\n",
    );
    assert_eq!(workload(&owned).as_deref(), Some("prod/Deployment/db"));
}
