//! Where kubelet stands: pods and containers made through a container runtime's own interface.

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated code")]
mod wire {
    tonic::include_proto!("runtime.v1");
}

use std::collections::BTreeMap;
use std::path::Path;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use wire::runtime_service_client::RuntimeServiceClient;
use wire::security_profile::Type as Profile;
use wire::{
    Capability, ContainerConfig, ContainerId, ContainerMetadata, ContainerState, ContainerStatusRequest, CreateContainerRequest,
    ExecSyncRequest, ImageSpec, LinuxContainerConfig, LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext,
    NamespaceMode, NamespaceOption, Number, PodSandboxConfig, PodSandboxId, PodSandboxMetadata, RunPodSandboxRequest, SecurityProfile,
    StopContainerRequest, UpdateContainerResourcesRequest, VersionRequest,
};
pub use wire::{LinuxContainerResources, Mount, MountPropagation};

/// What kubelet hides from every container that is not privileged.
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// What kubelet lets it only read.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A pod to run.
#[derive(Debug, Clone, Default)]
pub struct CriPod {
    /// Its name, in the namespace `default`.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Kubelet's text for the parent of its cgroups.
    pub cgroup_parent: String,
    /// Whether it sees the machine's processes.
    pub host_pid: bool,
    /// Whether it has a network of its own, which the runtime has to set up; else it shares the machine's.
    pub own_network: bool,
    /// Whether the runtime's default profile of seccomp holds; else none does.
    pub seccomp: bool,
    /// The folder of its containers' logs.
    pub log_directory: String,
    /// How often it had a sandbox before.
    pub attempt: u32,
}

impl CriPod {
    fn config(&self) -> PodSandboxConfig {
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: self.name.clone(),
                uid: self.uid.clone(),
                namespace: "default".into(),
                attempt: self.attempt,
            }),
            log_directory: self.log_directory.clone(),
            annotations: self.annotations.clone(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup_parent.clone(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(self.namespaces()),
                    seccomp: Some(self.seccomp()),
                    apparmor: Some(profile(Profile::Unconfined)),
                }),
            }),
            ..PodSandboxConfig::default()
        }
    }

    fn namespaces(&self) -> NamespaceOption {
        let pid = if self.host_pid { NamespaceMode::Node } else { NamespaceMode::Container };
        let network = if self.own_network { NamespaceMode::Pod } else { NamespaceMode::Node };
        NamespaceOption { network: network.into(), pid: pid.into() }
    }

    fn seccomp(&self) -> SecurityProfile {
        profile(if self.seccomp { Profile::RuntimeDefault } else { Profile::Unconfined })
    }
}

fn profile(kind: Profile) -> SecurityProfile {
    SecurityProfile { profile_type: kind.into() }
}

/// A container to make.
#[derive(Debug, Clone, Default)]
pub struct CriContainer {
    /// Its name in the pod.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Program and arguments; empty: the image's.
    pub command: Vec<String>,
    /// More arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// What kubelet makes of its requests and limits.
    pub resources: LinuxContainerResources,
    /// Folders of the machine.
    pub mounts: Vec<Mount>,
    /// All capabilities are dropped but these; `None`: the runtime's usual ones.
    pub capabilities: Option<Vec<String>>,
    /// Whether its own files are read-only.
    pub readonly: bool,
    /// The user whom it runs as; `None`: the image's.
    pub user: Option<i64>,
    /// Whether no program can gain rights.
    pub no_new_privileges: bool,
    /// Its log in the folder of the pod's logs; empty: none.
    pub log_path: String,
    /// How often it was made before.
    pub attempt: u32,
}

/// What a program in a container did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// A connection to a runtime. Every call blocks.
#[derive(Debug)]
pub struct Cri {
    runtime: Runtime,
    client: RuntimeServiceClient<Channel>,
}

impl Cri {
    /// Connects to a runtime's socket; each call dials anew when the runtime was restarted.
    ///
    /// # Panics
    /// When the socket's path is no URL.
    #[must_use]
    pub fn connect(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime for calls");
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display())).expect("the path of a socket");
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { runtime, client: RuntimeServiceClient::new(channel) }
    }

    /// Name and version of the runtime, once it answers.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn version(&mut self) -> Result<String, Status> {
        let told = self.runtime.block_on(self.client.version(VersionRequest::default()))?.into_inner();
        Ok(format!("{} {}", told.runtime_name, told.runtime_version))
    }

    /// Runs a pod's sandbox and returns its id.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn run_pod(&mut self, pod: &CriPod) -> Result<String, Status> {
        let request = RunPodSandboxRequest { config: Some(pod.config()) };
        Ok(self.runtime.block_on(self.client.run_pod_sandbox(request))?.into_inner().pod_sandbox_id)
    }

    /// Creates a container and returns its id.
    ///
    /// # Errors
    /// As the runtime says; what a plugin refuses is among it.
    pub fn create(&mut self, sandbox: &str, pod: &CriPod, container: &CriContainer) -> Result<String, Status> {
        let capabilities = container.capabilities.clone();
        let security = LinuxContainerSecurityContext {
            capabilities: capabilities.map(|add| Capability { add_capabilities: add, drop_capabilities: vec!["ALL".into()] }),
            privileged: false,
            namespace_options: Some(pod.namespaces()),
            run_as_user: container.user.map(|value| Number { value }),
            readonly_rootfs: container.readonly,
            no_new_privs: container.no_new_privileges,
            masked_paths: MASKED.map(str::to_owned).into(),
            readonly_paths: READ_ONLY.map(str::to_owned).into(),
            seccomp: Some(pod.seccomp()),
            apparmor: Some(profile(Profile::Unconfined)),
        };
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: container.name.clone(), attempt: container.attempt }),
            image: Some(ImageSpec { image: container.image.clone() }),
            command: container.command.clone(),
            args: container.args.clone(),
            log_path: container.log_path.clone(),
            envs: container.env.iter().map(|(key, value)| wire::KeyValue { key: key.clone(), value: value.clone() }).collect(),
            mounts: container.mounts.clone(),
            linux: Some(LinuxContainerConfig { resources: Some(container.resources.clone()), security_context: Some(security) }),
            ..ContainerConfig::default()
        };
        let request =
            CreateContainerRequest { pod_sandbox_id: sandbox.to_owned(), config: Some(config), sandbox_config: Some(pod.config()) };
        Ok(self.runtime.block_on(self.client.create_container(request))?.into_inner().container_id)
    }

    /// Starts a container that was created.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn start(&mut self, container: &str) -> Result<(), Status> {
        let request = ContainerId { container_id: container.to_owned() };
        self.runtime.block_on(self.client.start_container(request)).map(|_| ())
    }

    /// Changes a container's amounts, as kubelet's managers do.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn update(&mut self, container: &str, resources: LinuxContainerResources) -> Result<(), Status> {
        let request = UpdateContainerResourcesRequest { container_id: container.to_owned(), linux: Some(resources) };
        self.runtime.block_on(self.client.update_container_resources(request)).map(|_| ())
    }

    /// Runs a program in a container to its end, as kubelet does for probes.
    ///
    /// # Errors
    /// As the runtime says; a program that is not there or that does not end within these seconds is among it.
    pub fn exec(&mut self, container: &str, command: &[&str], seconds: i64) -> Result<Ran, Status> {
        let cmd = command.iter().map(|word| (*word).to_owned()).collect();
        let request = ExecSyncRequest { container_id: container.to_owned(), cmd, timeout: seconds };
        let told = self.runtime.block_on(self.client.exec_sync(request))?.into_inner();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ran { code: told.exit_code, stdout: text(&told.stdout), stderr: text(&told.stderr) })
    }

    /// How a container ended; `None` while it has not.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn ended(&mut self, container: &str) -> Result<Option<i32>, Status> {
        let request = ContainerStatusRequest { container_id: container.to_owned() };
        let status = self.runtime.block_on(self.client.container_status(request))?.into_inner().status.unwrap_or_default();
        Ok((status.state() == ContainerState::ContainerExited).then_some(status.exit_code))
    }

    /// Asks a container to end, and kills it after this many seconds.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn stop(&mut self, container: &str, grace: i64) -> Result<(), Status> {
        let stop = StopContainerRequest { container_id: container.to_owned(), timeout: grace };
        self.runtime.block_on(self.client.stop_container(stop)).map(|_| ())
    }

    /// Ends a container within this many seconds and removes it; one that is gone is as good.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn remove(&mut self, container: &str, grace: i64) -> Result<(), Status> {
        unless_gone(self.stop(container, grace))?;
        let request = Request::new(ContainerId { container_id: container.to_owned() });
        unless_gone(self.runtime.block_on(self.client.remove_container(request)).map(|_| ()))
    }

    /// Ends a pod's sandbox with all its containers and removes it.
    ///
    /// # Errors
    /// As the runtime says.
    pub fn remove_pod(&mut self, sandbox: &str) -> Result<(), Status> {
        let id = || PodSandboxId { pod_sandbox_id: sandbox.to_owned() };
        unless_gone(self.runtime.block_on(self.client.stop_pod_sandbox(id())).map(|_| ()))?;
        unless_gone(self.runtime.block_on(self.client.remove_pod_sandbox(id())).map(|_| ()))
    }
}

fn unless_gone(result: Result<(), Status>) -> Result<(), Status> {
    result.or_else(|status| if status.code() == Code::NotFound { Ok(()) } else { Err(status) })
}
