//! Hints for kubelet, and what is given on the nodes that were chosen.

use crate::load::{Case, Machines, run};
use gleaner_model::{
    Assignment, Container, ContainerKind, CpuSet, KubeQos, MilliCpu, NumaBinding, NumaSet, Permille, Pod, PodName, PodUid, Pool, PoolName,
    QosClass, QosConfig, QosSpec, Requirement, Topology, annotation,
};
use gleaner_qrm_plugins::serve::flattened;
use gleaner_qrm_plugins::{Asked, Hint, HintPreference, Hints, Node, PlacePolicy, ReserveRule, cpu_hints, demands, place};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn topology_hints() {
    run("topology_hints", check);
}

fn check(case: &Case, machines: &Machines) -> Result<(), String> {
    let state = State::of(case, machines);
    match case.op() {
        "get_topology_hints" => hints_case(case, &state),
        "allocate" => allocate_case(case, &state),
        other => Err(format!("unknown operation {other}")),
    }
}

/// The node that a case is about.
struct State {
    topology: Topology,
    pods: BTreeMap<PodUid, Pod>,
    assignment: Assignment,
    policy: PlacePolicy,
}

impl State {
    fn of(case: &Case, machines: &Machines) -> Self {
        let input = &case.input;
        let topology = machines.of(case).topology();
        let reserve = ReserveRule::Cpus(text(&input["reserved_cpus"]).parse().unwrap());
        let hint_preference = match input["hint_preference"].as_str() {
            None | Some("spreading") => HintPreference::Spreading,
            Some("packing") => HintPreference::Packing,
            Some("dynamic_packing") => {
                let low_threshold = Permille::new(milli(&input["dynamic_packing_low_threshold"]).try_into().unwrap());
                HintPreference::DynamicPacking { low_threshold }
            }
            Some(other) => panic!("{}: hint_preference {other}", case.id),
        };
        let policy = PlacePolicy { reserve, hint_preference, ..PlacePolicy::default() };
        let mut state = Self { topology, pods: BTreeMap::new(), assignment: Assignment::default(), policy };
        for entry in input["existing"].as_array().into_iter().flatten() {
            state.add(entry);
        }
        state
    }

    fn node(&self) -> Node<'_> {
        Node { topology: &self.topology, pods: &self.pods, assignment: &self.assignment, policy: &self.policy }
    }

    fn add(&mut self, entry: &Value) {
        let cpus: CpuSet = text(&entry["cpus"]).parse().unwrap();
        let pool = Pool { mems: self.topology.nodes_of(&cpus), cpus };
        let Some(uid) = entry["pod"].as_str() else {
            self.assignment.pools.insert(text(&entry["key"]).parse().unwrap(), pool);
            return;
        };
        let uid: PodUid = uid.parse().unwrap();
        let qos = QosSpec::parse(&unflattened(&entry["annotations"]), &QosConfig::default()).unwrap();
        if qos.memory.numa_binding != NumaBinding::Unbound {
            let nodes = entry["cpus_per_numa"].as_object().unwrap().keys().map(|id| id.parse::<NumaSet>().unwrap());
            self.assignment.nodes.insert(uid.clone(), nodes.fold(NumaSet::new(), |all, one| all.union(&one)));
        }
        let name = if qos.class == QosClass::Dedicated {
            let name = PoolName::dedicated(&uid);
            self.assignment.pools.insert(name.clone(), pool);
            name
        } else {
            text(&entry["owner_pool"]).parse().unwrap()
        };
        self.assignment.members.insert(uid.clone(), name);
        self.pods.insert(uid.clone(), pod(&uid, qos, MilliCpu::new(milli(&entry["request"]))));
    }
}

fn pod(uid: &PodUid, qos: QosSpec, cpu: MilliCpu) -> Pod {
    let reclaimed = qos.class == QosClass::Reclaimed;
    let container = Container {
        name: "test".parse().unwrap(),
        kind: ContainerKind::Main,
        cpu: Requirement { request: Some(cpu).filter(|_| !reclaimed), limit: None },
        memory: Requirement::default(),
        reclaimed_cpu: Some(cpu).filter(|_| reclaimed),
        reclaimed_memory: None,
        hugepages: std::collections::BTreeMap::new(),
        extended: std::collections::BTreeMap::new(),
    };
    Pod {
        workload: None,
        uid: uid.clone(),
        name: PodName { namespace: "ns".to_owned(), name: uid.to_string() },
        qos,
        kube_qos: KubeQos::of(std::slice::from_ref(&container)),
        priority: 0,
        grace: Duration::from_secs(30),
        containers: vec![container],
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// Thousandths of a number.
fn milli(value: &Value) -> u64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    format!("{:.0}", number * 1000.0).parse().unwrap()
}

const MEMORY_KEYS: [&str; 2] = ["numa_binding", "numa_exclusive"];

/// Annotations as a pod has them, from those that the reference keeps.
fn unflattened(flat: &Value) -> BTreeMap<String, String> {
    let (mut cpu, mut memory, mut annotations) = (Map::new(), Map::new(), BTreeMap::new());
    for (key, value) in flat.as_object().unwrap() {
        match key.as_str() {
            annotation::QOS_LEVEL => drop(annotations.insert(key.clone(), text(value).to_owned())),
            key if MEMORY_KEYS.contains(&key) => drop(memory.insert(key.to_owned(), value.clone())),
            key => drop(cpu.insert(key.to_owned(), value.clone())),
        }
    }
    annotations.insert(annotation::CPU_ENHANCEMENT.to_owned(), Value::from(cpu).to_string());
    annotations.insert(annotation::MEMORY_ENHANCEMENT.to_owned(), Value::from(memory).to_string());
    annotations
}

/// The annotations that the case asks with, the cluster's defaults filled in.
fn annotations(case: &Case) -> BTreeMap<String, String> {
    let own = case.input["request"]["annotations"].as_object().unwrap();
    let mut all: BTreeMap<String, String> = own.iter().map(|(key, value)| (key.clone(), text(value).to_owned())).collect();
    for (key, value) in case.input["enhancement_defaults"].as_object().into_iter().flatten() {
        let memory = MEMORY_KEYS.contains(&key.as_str());
        let annotation = if memory { annotation::MEMORY_ENHANCEMENT } else { annotation::CPU_ENHANCEMENT };
        let entry = all.entry(annotation.to_owned()).or_insert_with(|| "{}".to_owned());
        let mut object: Map<String, Value> = serde_json::from_str(entry).unwrap();
        object.entry(key.clone()).or_insert_with(|| value.clone());
        *entry = Value::from(object).to_string();
    }
    all
}

fn asked_cpu(case: &Case) -> MilliCpu {
    MilliCpu::new(milli(&case.input["request"]["cpu"]))
}

fn uid() -> PodUid {
    "asked".parse().unwrap()
}

fn equal(what: &str, got: &Value, expected: &Value) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got}, expected {expected}")) }
}

/// Compares the annotations and labels of the answer.
fn same_words(case: &Case, annotations: &BTreeMap<String, String>, spec: &QosSpec) -> Result<(), String> {
    equal("annotations", &json!(flattened(annotations, spec.class)), &case.expect["annotations"])?;
    equal("labels", &json!({ annotation::QOS_LEVEL: spec.class.as_str() }), &case.expect["labels"])
}

fn wire(hint: &Hint) -> Value {
    json!({ "numa": hint.nodes.as_ref().map(|nodes| nodes.iter().map(gleaner_model::Id::index).collect::<Vec<_>>()), "preferred": hint.preferred })
}

fn hints_case(case: &Case, state: &State) -> Result<(), String> {
    let annotations = annotations(case);
    let must_fail = case.expect.get("error").is_some();
    let headroom = case.input["numa_headroom"].as_object();
    let headroom: Option<BTreeMap<_, _>> = headroom
        .map(|all| all.iter().map(|(id, cpu)| (gleaner_model::NumaId::new(id.parse().unwrap()), MilliCpu::new(milli(cpu)))).collect());
    let answer = QosSpec::parse(&annotations, &QosConfig::default()).map_err(|e| format!("{e:?}")).and_then(|spec| {
        let asked = Asked { pod: &uid(), qos: &spec, cpu: asked_cpu(case) };
        cpu_hints(&state.node(), &asked, headroom.as_ref()).map(|hints| (spec, hints)).map_err(|refusal| refusal.to_string())
    });
    match answer {
        Err(_) if must_fail => Ok(()),
        Err(refusal) => Err(format!("refused: {refusal}")),
        Ok((_, hints)) if must_fail => Err(format!("must fail, got {hints:?}")),
        Ok((spec, hints)) => {
            let hints = match hints {
                Hints::NoPreference => Value::Null,
                Hints::List(list) => list.iter().map(wire).collect(),
            };
            equal("hints", &hints, &case.expect["hints"])?;
            same_words(case, &annotations, &spec)
        }
    }
}

/// What the pod is given on the nodes that were chosen for it.
fn allocate_case(case: &Case, state: &State) -> Result<(), String> {
    let annotations = annotations(case);
    let spec = QosSpec::parse(&annotations, &QosConfig::default()).map_err(|e| format!("{e:?}"))?;
    let must_fail = case.expect.get("error").is_some();
    if case.input["request"]["container_type"] == "init" {
        equal("allocation", &Value::Null, &case.expect["allocation"])?;
        return same_words(case, &annotations, &spec);
    }
    match given(case, state, &spec) {
        Err(_) if must_fail => Ok(()),
        Err(refusal) => Err(format!("refused: {refusal}")),
        Ok(cpus) if must_fail => Err(format!("must fail, got CPUs {cpus}")),
        Ok(cpus) => {
            let expected: CpuSet = text(&case.expect["allocation"]["cpus"]).parse().unwrap();
            equal("cpus", &json!(cpus.to_string()), &json!(expected.to_string()))?;
            equal("quantity", &json!(cpus.count()), &case.expect["allocation"]["quantity"])?;
            same_words(case, &annotations, &spec)
        }
    }
}

fn given(case: &Case, state: &State, spec: &QosSpec) -> Result<CpuSet, String> {
    let (uid, cpu) = (uid(), asked_cpu(case));
    let asked = Asked { pod: &uid, qos: spec, cpu };
    let hints = cpu_hints(&state.node(), &asked, None).map_err(|refusal| refusal.to_string())?;
    let mut assignment = state.assignment.clone();
    if let Some(nodes) = case.input["request"]["hint"]["numa"].as_array() {
        let nodes: NumaSet = nodes.iter().map(|id| gleaner_model::NumaId::new(id.as_u64().unwrap().try_into().unwrap())).collect();
        let offered = matches!(&hints, Hints::List(list) if list.iter().any(|hint| hint.nodes.as_ref() == Some(&nodes)));
        if !offered {
            return Err(format!("nodes {nodes} were not offered, but {hints:?}"));
        }
        assignment.nodes.insert(uid.clone(), nodes);
    }
    let mut pods = state.pods.clone();
    pods.insert(uid.clone(), pod(&uid, spec.clone(), cpu));
    let placed = place(&state.topology, &assignment, &pods, &demands(&pods, &BTreeMap::new()), &state.policy);
    let pool = placed.assignment.pool_of(&uid).map(|(_, pool)| pool.cpus.clone());
    pool.ok_or_else(|| placed.refused.get(&uid).map_or_else(|| "no pool".to_owned(), ToString::to_string))
}
