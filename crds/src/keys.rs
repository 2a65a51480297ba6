//! Names on Kubernetes objects and on the wire. Katalyst's, unless said otherwise, since its schedulers, its enhanced kubelet and
//! its users' manifests speak them already. The quality-of-service annotations are the model's.

/// Extended resources and the native ones.
pub mod resource {
    /// Kubernetes' CPU, in cores.
    pub const CPU: &str = "cpu";
    /// Kubernetes' memory, in bytes.
    pub const MEMORY: &str = "memory";
    /// Lent CPU. The plain number counts milli-cores: `2k` is two cores.
    pub const RECLAIMED_MILLICPU: &str = "resource.katalyst.kubewharf.io/reclaimed_millicpu";
    /// Lent memory, in bytes.
    pub const RECLAIMED_MEMORY: &str = "resource.katalyst.kubewharf.io/reclaimed_memory";
    /// Network bandwidth of a container.
    pub const NET_BANDWIDTH: &str = "resource.katalyst.kubewharf.io/net_bandwidth";
    /// Memory bandwidth of a container.
    pub const MEMORY_BANDWIDTH: &str = "resource.katalyst.kubewharf.io/memory_bandwidth";
}

/// Annotations of pods that are not about their quality of service.
pub mod pod_annotation {
    /// Names the container whose allocation leads; the first one when absent.
    pub const MAIN_CONTAINER_NAME: &str = "kubernetes.io/main-container-name";
    /// A resource list in JSON: the whole pod's requests, used to size hints instead of one container's.
    pub const AGGREGATED_REQUESTS: &str = "pod.kubernetes.io/pod-aggregated-requests";
    /// `true` on a pod whose running containers are to become larger or smaller.
    pub const INPLACE_RESIZING: &str = "pod.kubernetes.io/inplace-update-resizing";
    /// Tells a kubelet with resource plugins to admit the pod without asking them.
    pub const SKIP_QRM_ADMIT: &str = "katalyst.kubewharf.io/skip_qrm_admit";
    /// Result written back to the pod: the NUMA nodes it is bound to.
    pub const NUMA_BIND_RESULT: &str = "katalyst.kubewharf.io/numa_bind_result";
}

/// Annotations and labels of nodes, for overcommitment. Ratios are decimal texts such as `1.5`, amounts are quantities.
pub mod node {
    /// Label that puts a node under one overcommitment configuration.
    pub const OVERCOMMIT_NODE_POOL: &str = "katalyst.kubewharf.io/overcommit_node_pool";
    /// Annotation: CPU ratio that the administrator set.
    pub const CPU_OVERCOMMIT_RATIO: &str = "katalyst.kubewharf.io/cpu_overcommit_ratio";
    /// Annotation: memory ratio that the administrator set.
    pub const MEMORY_OVERCOMMIT_RATIO: &str = "katalyst.kubewharf.io/memory_overcommit_ratio";
    /// Annotation: CPU ratio that the node can bear at the moment.
    pub const REALTIME_CPU_OVERCOMMIT_RATIO: &str = "katalyst.kubewharf.io/realtime_cpu_overcommit_ratio";
    /// Annotation: memory ratio that the node can bear at the moment.
    pub const REALTIME_MEMORY_OVERCOMMIT_RATIO: &str = "katalyst.kubewharf.io/realtime_memory_overcommit_ratio";
    /// Annotation: CPU capacity before overcommitment.
    pub const ORIGINAL_CAPACITY_CPU: &str = "katalyst.kubewharf.io/original_capacity_cpu";
    /// Annotation: memory capacity before overcommitment.
    pub const ORIGINAL_CAPACITY_MEMORY: &str = "katalyst.kubewharf.io/original_capacity_memory";
    /// Annotation: allocatable CPU before overcommitment.
    pub const ORIGINAL_ALLOCATABLE_CPU: &str = "katalyst.kubewharf.io/original_allocatable_cpu";
    /// Annotation: allocatable memory before overcommitment.
    pub const ORIGINAL_ALLOCATABLE_MEMORY: &str = "katalyst.kubewharf.io/original_allocatable_memory";
    /// Annotation: CPU capacity after overcommitment.
    pub const OVERCOMMIT_CAPACITY_CPU: &str = "katalyst.kubewharf.io/overcommit_capacity_cpu";
    /// Annotation: memory capacity after overcommitment.
    pub const OVERCOMMIT_CAPACITY_MEMORY: &str = "katalyst.kubewharf.io/overcommit_capacity_memory";
    /// Annotation: allocatable CPU after overcommitment.
    pub const OVERCOMMIT_ALLOCATABLE_CPU: &str = "katalyst.kubewharf.io/overcommit_allocatable_cpu";
    /// Annotation: allocatable memory after overcommitment.
    pub const OVERCOMMIT_ALLOCATABLE_MEMORY: &str = "katalyst.kubewharf.io/overcommit_allocatable_memory";
}

/// Taints of a CustomNodeResource. What has [`DOMAIN`](cnr_taint::DOMAIN) as its prefix is written and taken back by the agent alone; the rest
/// of the key is the name of a condition.
pub mod cnr_taint {
    /// Katalyst's prefix of what its agent says of a node.
    pub const DOMAIN: &str = "node.katalyst.kubewharf.io/";
    /// Memory is short.
    pub const MEMORY_PRESSURE: &str = "node.katalyst.kubewharf.io/MemoryPressure";
    /// CPU is short.
    pub const CPU_PRESSURE: &str = "node.katalyst.kubewharf.io/CPUPressure";
}

/// `PluginInfo.type`: what kind of plugin answers on a socket.
pub mod plugin_type {
    /// A resource plugin; the watcher is a kubelet or its stand-in.
    pub const RESOURCE: &str = "ResourcePlugin";
    /// An eviction plugin of the agent.
    pub const EVICTION: &str = "EvictionPlugin";
    /// A reporter plugin of the agent.
    pub const REPORTER: &str = "ReporterPlugin";
}

/// `PluginInfo.supported_versions`.
pub mod plugin_version {
    /// Of all three kinds of plugin.
    pub const V1ALPHA1: &str = "v1alpha1";
}

/// Names of the sockets that resource plugins open. A watcher finds a plugin by the socket's appearance.
pub mod socket {
    /// CPU.
    pub const CPU_DYNAMIC: &str = "qrm_cpu_plugin_dynamic.sock";
    /// CPU in the manner of kubelet's own CPU manager.
    pub const CPU_NATIVE: &str = "qrm_cpu_plugin_native.sock";
    /// Memory.
    pub const MEMORY_DYNAMIC: &str = "qrm_memory_plugin_dynamic.sock";
    /// Network bandwidth.
    pub const NETWORK_STATIC: &str = "qrm_network_plugin_static.sock";
    /// Kubelet's own: for registration in the manner of device plugins, and for [`crate::podresources`], in folders of their own.
    pub const KUBELET: &str = "kubelet.sock";
}

/// Folders that sockets live in.
pub mod folder {
    /// Watched by the kubelet for plugins that introduce themselves.
    pub const KUBELET_PLUGINS_REGISTRY: &str = "/var/lib/kubelet/plugins_registry";
    /// Kubelet's for resource plugins, with [`super::socket::KUBELET`] in it.
    pub const KUBELET_RESOURCE_PLUGINS: &str = "/var/lib/kubelet/resource-plugins";
    /// Where [`crate::podresources`] is served beside the kubelet's own, with [`super::socket::KUBELET`] in it.
    pub const POD_RESOURCES: &str = "/var/lib/katalyst/pod-resources";
    /// The agent's for eviction and reporter plugins.
    pub const AGENT_PLUGINS: &str = "/var/lib/katalyst/plugin-socks";
}

/// `ResourceAllocationInfo.oci_property_name`: fields of the runtime interface's `LinuxContainerResources`.
pub mod oci_property {
    /// List of CPUs.
    pub const CPUSET_CPUS: &str = "CpusetCpus";
    /// List of NUMA nodes that memory may come from.
    pub const CPUSET_MEMS: &str = "CpusetMems";
    /// Memory limit, in bytes.
    pub const MEMORY_LIMIT: &str = "MemoryLimitInBytes";
}
