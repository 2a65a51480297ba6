//! An estimator in another process, as a sample of how to write one, and a double that misbehaves as it is told.

use crate::serving::{Callers, block_on};
use gleaner_crds::estimator::estimator_server::{Estimator, EstimatorServer};
use gleaner_crds::estimator::{AdviseRequest, AdviseResponse, RegionAdvice, RegionReport};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

/// How it answers from now on.
#[derive(Debug, Clone, PartialEq)]
pub enum Opinion {
    /// Every region needs this much, in thousandths of a CPU.
    Flat(u64),
    /// Every region needs so many percent of what it uses now.
    OfUse(u64),
    /// It says no, in these words.
    Refuses(String),
    /// It never answers.
    Hangs,
    /// A region needs more than any node has.
    Raves,
}

/// The service: what it is asked is kept, how it answers is its opinion.
#[derive(Debug, Clone)]
pub struct Sample {
    opinion: Arc<Mutex<Opinion>>,
    asked: Arc<Mutex<Vec<AdviseRequest>>>,
}

#[async_trait]
impl Estimator for Sample {
    async fn advise(&self, request: Request<AdviseRequest>) -> Result<Response<AdviseResponse>, Status> {
        let request = request.into_inner();
        let opinion = self.opinion.lock().unwrap().clone();
        self.asked.lock().unwrap().push(request.clone());
        let advise = |report: &RegionReport| {
            let requirement_milli_cpu = match opinion {
                Opinion::Flat(milli) => Some(milli),
                Opinion::OfUse(percent) => report.usage_milli_cpu.map(|used| used * percent / 100),
                _ => Some(u64::MAX),
            };
            RegionAdvice { region: report.region.clone(), requirement_milli_cpu, indicators: Vec::new(), valid_for_ms: 3000 }
        };
        match &opinion {
            Opinion::Refuses(words) => Err(Status::failed_precondition(words.clone())),
            Opinion::Hangs => std::future::pending().await,
            _ => Ok(Response::new(AdviseResponse { regions: request.regions.iter().map(advise).collect() })),
        }
    }
}

/// Serves until `alive` says otherwise, or for ever where nobody holds its other end.
///
/// # Panics
/// When the socket cannot be served.
pub fn serve(listener: UnixListener, sample: Sample, mut alive: watch::Receiver<bool>) {
    block_on(async {
        let served = Server::builder().add_service(EstimatorServer::new(sample)).serve_with_incoming(Callers::of(listener));
        tokio::select! {
            served = served => served.unwrap(),
            // Whatever is under way is cut off with the runtime.
            ended = alive.wait_for(|alive| !alive) => drop(ended),
        }
    });
}

impl Sample {
    /// One of this opinion.
    #[must_use]
    pub fn new(opinion: Opinion) -> Self {
        Self { opinion: Arc::new(Mutex::new(opinion)), asked: Arc::default() }
    }
}

/// An estimator that runs. Dropped, its process ends.
#[derive(Debug)]
pub struct RunningEstimator {
    path: PathBuf,
    sample: Sample,
    alive: watch::Sender<bool>,
    process: Option<JoinHandle<()>>,
}

impl RunningEstimator {
    /// Starts one at this path.
    #[must_use]
    pub fn start(path: &Path, opinion: Opinion) -> Self {
        let mut running = Self { path: path.to_owned(), sample: Sample::new(opinion), alive: watch::Sender::new(true), process: None };
        running.restart();
        running
    }

    /// Thinks this from now on.
    ///
    /// # Panics
    /// When its process panicked.
    pub fn think(&self, opinion: Opinion) {
        *self.sample.opinion.lock().unwrap() = opinion;
    }

    /// What it was asked so far.
    ///
    /// # Panics
    /// When its process panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<AdviseRequest> {
        self.sample.asked.lock().unwrap().clone()
    }

    /// Ends its process, as a crash does: its socket stays and nobody answers.
    ///
    /// # Panics
    /// When its process panicked.
    pub fn die(&mut self) {
        self.alive.send_replace(false);
        if let Some(process) = self.process.take() {
            process.join().unwrap();
        }
    }

    /// Starts its process again.
    ///
    /// # Panics
    /// When there is no room for its socket.
    pub fn restart(&mut self) {
        self.die();
        let _ = std::fs::remove_file(&self.path);
        let listener = UnixListener::bind(&self.path).unwrap();
        self.alive.send_replace(true);
        let (sample, alive) = (self.sample.clone(), self.alive.subscribe());
        self.process = Some(std::thread::spawn(move || serve(listener, sample, alive)));
    }
}

impl Drop for RunningEstimator {
    fn drop(&mut self) {
        self.alive.send_replace(false);
        if let Some(process) = self.process.take() {
            let _ = process.join();
        }
    }
}
