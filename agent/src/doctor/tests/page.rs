//! The page and the object as a whole.

use super::fixture::full;
use super::{nodes, page};
use crate::doctor::page::{Diagnosis, draw};

const FULL: &str = "\
gleaner doctor on node-1: mode nri

AGENT
  ok   configuration                            /etc/gleaner/gleaner.yaml
  ok   running agent                            mode nri, containerd v2.1.4 asks before it creates containers

KERNEL
  ok   release                                  6.12.0
  ok   cgroups                                  cgroup v2
  ok   controllers                              cpu v2, cpuset v2, memory v2, pids v2, io v2, freezer v2
  ok   pods' cgroup                             /kubepods.slice, of the systemd driver
  ok   cpuset.cpus                              there
  ok   cpu.idle                                 there
  ok   cpu.max                                  there
  ok   memory.low                               there
  ok   memory.high                              there
  ok   memory.max                               there
  ok   memory take-back                         memory.reclaim, by amount
  ok   pressure of the node                     cpu, io, memory
  ok   pressure of cgroups                      there
  ok   short pressure windows                   taken
  ok   resctrl                                  mounted; this version does not use it
  ok   topology                                 64 CPUs, 2 sockets, 4 NUMA nodes, 8 L3 groups, 2 threads a core
  ok   swap                                     none

RIGHTS
  ok   user                                     root
  ok   writing cgroups                          allowed
  ok   CAP_SYS_RESOURCE                         held
  ok   CAP_DAC_OVERRIDE                         held
  ok   seeing processes                         all of the machine
  ok   list, watch pods                         allowed
  ok   get, list, watch nodes                   allowed
  ok   patch nodes/status                       allowed
  ok   patch nodes                              not used: report.nodeTaint is off
  ok   create, patch events                     allowed
  ok   create pods/eviction                     allowed
  ok   get, create, patch customnoderesources   allowed
  ok   patch customnoderesources/status         allowed
  ok   get, list, watch adminqosconfigurations  allowed
  ok   get, list, watch customnodeconfigs       allowed
  ok   get nodes/proxy                          allowed

KUBERNETES
  ok   NRI socket                               /var/run/nri/nri.sock, the agent is connected
  ok   kubelet                                  driver systemd, memory manager None, topology manager none
  ok   kubelet's CPU manager                    none: nothing is exclusive
  ok   API server                               v1.33.2
  ok   node                                     node-1
  ok   kind customnoderesources                 there
  ok   kind adminqosconfigurations              there
  ok   kind customnodeconfigs                   there

FEATURES
  on   own CPUs for dedicated pods              cpuset.cpus, from the start of a container
  on   reclaimed pods idle                      cpu.idle
  on   quota of reclaimed pods                  cpu.max
  on   memory protection                        memory.low
  on   slow-down before kill                    memory.high
  on   memory take-back                         memory.reclaim
  on   reaction to pressure at once             the kernel wakes the agent
  on   order of killing                         oom_score_adj
  on   asked before creation                    the runtime asks the agent
  on   reporting to the Node                    for the default scheduler
  on   reporting to the CNR                     for Katalyst's scheduler
  on   eviction by the API server               disruption budgets hold
  on   configuration by objects                 AdminQoSConfiguration and CustomNodeConfig
  on   kubelet's exclusive CPUs kept            its CPU manager gives none away
  off  caches and memory bandwidth              not in this version

nothing is missing that mode nri needs
";

#[test]
fn a_node_with_everything_has_a_page_without_a_word_of_trouble() {
    let found = page(&full());
    for (found, expected) in found.lines().zip(FULL.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found, FULL);
    assert!(Diagnosis::of(&full()).ok);
}

#[test]
fn nothing_that_others_wrote_steers_the_terminal_or_breaks_a_line() {
    let mut facts = full();
    facts.problems = vec!["a\nb\x1b[2J\u{202e}".to_owned()];
    let lines = page(&facts).lines().count();
    assert_eq!(lines, FULL.lines().count(), "one line each");
    assert!(!page(&facts).contains('\x1b') && page(&facts).contains("a\u{fffd}b\u{fffd}[2J\u{fffd}; "), "{}", page(&facts));
    let narrow = draw(&Diagnosis::of(&facts), 40);
    assert!(narrow.lines().all(|line| line.chars().count() <= 40) && narrow.contains('…'), "{narrow}");
}

#[test]
fn the_object_says_the_same_as_the_page() {
    for facts in nodes() {
        let told = Diagnosis::of(&facts);
        let object = serde_json::to_value(&told).unwrap();
        assert_eq!(object["ok"], told.ok);
        assert_eq!(object["mode"], facts.mode().to_string());
        let text = draw(&told, usize::MAX);
        for finding in object["findings"].as_array().unwrap() {
            let effect = finding["effect"].as_str().map(|effect| format!("; {effect}")).unwrap_or_default();
            let line = format!("{}{effect}\n", finding["what"].as_str().unwrap());
            assert!(text.contains(&line), "{finding}\n{text}");
        }
        assert_eq!(object["features"].as_array().unwrap().len(), told.features.len());
    }
}
