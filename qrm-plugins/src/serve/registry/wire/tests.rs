#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::fixtures;
use gleaner_model::QosClass;

fn fpga() -> ResourceName {
    "example.com/fpga".parse().unwrap()
}

fn offered(nodes: &[&[u64]]) -> proto::ResourceHintsResponse {
    let hints = nodes.iter().map(|nodes| proto::TopologyHint { nodes: nodes.to_vec(), preferred: true }).collect();
    let resource_hints = BTreeMap::from([(fpga().as_str().to_owned(), proto::ListOfTopologyHints { hints })]);
    proto::ResourceHintsResponse { resource_hints, ..Default::default() }
}

fn on(node: u32) -> Hint {
    Hint::on(NumaSet::from_iter([NumaId::new(node)]), true)
}

#[test]
fn a_request_names_its_resource_alike_everywhere() {
    let mut asked = fixtures::request("p", "main", ContainerType::Sidecar, QosClass::Shared, 3.0);
    asked.resource = "example.com/fpga".to_owned();
    asked.hint = Some(on(1));
    let wire = request(&asked);
    assert_eq!(wire.resource_requests, BTreeMap::from([("example.com/fpga".to_owned(), 3.0)]));
    assert_eq!((wire.resource_name.as_str(), wire.native_qos_class.as_str()), ("example.com/fpga", "Burstable"));
    assert_eq!(wire.hint, Some(proto::TopologyHint { nodes: vec![1], preferred: true }));
    assert_eq!(crate::serve::wire::request(&wire).unwrap(), asked, "what is written is read as it was");
}

#[test]
fn hints_are_read_as_they_were_meant() {
    for (nodes, expected) in [
        (&[][..], Hints::NoPreference),
        (&[&[0][..]], Hints::List(vec![on(0)])),
        (&[&[1], &[]], Hints::List(vec![on(1), Hint { nodes: None, preferred: true }])),
    ] {
        assert_eq!(hints(&fpga(), &offered(nodes)), Ok(expected), "{nodes:?}");
    }
    assert_eq!(hints(&"a.b/c".parse().unwrap(), &offered(&[&[0]])), Ok(Hints::NoPreference), "hints for another resource are none");
    assert!(hints(&fpga(), &offered(&[&[0], &[u64::MAX]])).is_err());
}

#[test]
fn an_allocation_that_makes_no_sense_is_none() {
    let answer = |info: proto::ResourceAllocationInfo| {
        let given = proto::ResourceAllocation { resource_allocation: BTreeMap::from([("r".to_owned(), info)]) };
        allocated(proto::ResourceAllocationResponse { allocation_result: Some(given), ..Default::default() })
    };
    let env = |name: &str, value: &str| proto::ResourceAllocationInfo {
        envs: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        ..Default::default()
    };
    assert_eq!(answer(env("A", "b=c")).unwrap()["r"].envs["A"], "b=c");
    assert_eq!(allocated(proto::ResourceAllocationResponse::default()), Ok(ContainerAllocation::new()));
    let mut bad = vec![env("", "x"), env("A=B", "x"), env("A\0", "x"), env("A", "\0")];
    bad.extend(
        [f64::NAN, -1.0, f64::INFINITY]
            .map(|allocated_quantity| proto::ResourceAllocationInfo { allocated_quantity, ..Default::default() }),
    );
    bad.push(proto::ResourceAllocationInfo { topology_assignments: BTreeMap::from([(1 << 40, 1)]), ..Default::default() });
    for info in bad {
        let found = answer(info.clone());
        assert!(found.is_err(), "{info:?} was read as {found:?}");
    }
}

#[test]
fn words_of_strangers_are_one_short_line() {
    let Fault::Refused(words) = Nonsense(format!("a\nb{}", "x".repeat(9999))).into() else { unreachable!() };
    assert!(words.starts_with("its answer makes no sense: a bxx") && words.len() == 400, "{words}");
}

#[test]
fn a_plugin_that_needs_what_is_not_done_is_refused() {
    let wants =
        |pre_start_required| options(&proto::ResourcePluginOptions { pre_start_required, need_reconcile: true, ..Default::default() });
    assert_eq!(wants(false), Ok(PluginOptions { with_topology_alignment: false, need_reconcile: true }));
    assert!(wants(true).is_err());
}
