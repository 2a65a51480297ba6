//! The task against a service on a real socket, by a clock that is set on as soon as everybody waits. That a process of another user is not listened to takes
//! another user, and is not here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::*;
use futures_util::stream::unfold;
use gleaner_crds::estimator::estimator_server::{Estimator, EstimatorServer};
use gleaner_crds::estimator::{AdviseResponse, RegionAdvice};
use gleaner_model::Span;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::{Request, Response};

/// Answers every question after this long.
struct Slow(Duration);

#[tonic::async_trait]
impl Estimator for Slow {
    async fn advise(&self, request: Request<AdviseRequest>) -> Result<Response<AdviseResponse>, Status> {
        tokio::time::sleep(self.0).await;
        let advise =
            |report: RegionReport| RegionAdvice { region: report.region, requirement_milli_cpu: Some(700), ..RegionAdvice::default() };
        Ok(Response::new(AdviseResponse { regions: request.into_inner().regions.into_iter().map(advise).collect() }))
    }
}

/// A service that runs.
struct Service {
    ends: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn serve(path: &Path, delay: Duration) -> Service {
    let listener = UnixListener::bind(path).unwrap();
    let callers = unfold(listener, |listener| async { Some((listener.accept().await.map(|(caller, _)| caller), listener)) });
    let server = tonic::transport::Server::builder().add_service(EstimatorServer::new(Slow(delay)));
    let (ends, ended) = oneshot::channel();
    let task = tokio::spawn(async move {
        server.serve_with_incoming_shutdown(Box::pin(callers), async { drop(ended.await) }).await.unwrap();
    });
    Service { ends, task }
}

/// Ends the service and every connection to it.
async fn end(service: Service, path: &Path) {
    std::fs::remove_file(path).unwrap();
    service.ends.send(()).unwrap();
    service.task.await.unwrap();
}

/// One that is asked each 10 s and has 1 s, what it is told, and what comes of it.
struct World {
    told: watch::Sender<Option<Told>>,
    events: mpsc::Receiver<EstimatorEvent>,
    began: Instant,
}

fn world(socket: &Path) -> World {
    let (told, receiver) = watch::channel(None);
    let (sender, events) = mpsc::channel(1);
    let settings = EstimatorSettings {
        socket: socket.to_owned(),
        period: Span::from_secs(10),
        deadline: Span::from_secs(1),
        valid_for: Span::from_secs(60),
    };
    start(&BTreeMap::from([("one".to_owned(), settings)]), &receiver, &sender);
    World { told, events, began: Instant::now() }
}

fn figures() -> Option<Told> {
    let regions = BTreeMap::from([("share".parse().unwrap(), RegionFigures::default())]);
    Some(Told { node: "node-1".to_owned(), wall: None, capacity: MilliCpu::from_cpus(4), regions })
}

impl World {
    /// What comes next: after how many seconds since the beginning, and the figure, or the words.
    async fn next(&mut self) -> (u64, Result<Option<MilliCpu>, String>) {
        let EstimatorEvent { name, said } = self.events.recv().await.unwrap();
        assert_eq!(name, "one");
        (self.began.elapsed().as_secs(), said.map(|advice| advice[&"share".parse().unwrap()].requirement))
    }

    async fn says(&mut self, second: u64) {
        assert_eq!(self.next().await, (second, Ok(Some(MilliCpu::new(700)))));
    }

    async fn fails(&mut self, second: u64, words: &str) {
        let (at, said) = self.next().await;
        let problem = said.unwrap_err();
        assert!(at == second && problem.contains(words), "after {at} s: {problem:?}; expected after {second} s: {words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_as_soon_as_there_is_something_to_tell_and_then_every_period() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let server = serve(&path, Duration::ZERO);
    let mut world = world(&path);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(world.events.try_recv().is_err(), "nothing is known that it could be asked about");
    world.told.send_replace(figures());
    for second in [3, 13, 23] {
        world.says(second).await;
    }
    end(server, &path).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_late_dies_and_comes_back_is_told_of_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let mut world = world(&path);
    world.told.send_replace(figures());
    world.fails(0, "socket: No such file").await;
    let late = serve(&path, Duration::from_secs(2));
    world.fails(11, "no answer within 1s").await;
    end(late, &path).await;
    let good = serve(&path, Duration::from_millis(900));
    world.says(20).await;
    end(good, &path).await;
    world.fails(30, "").await;
    let good = serve(&path, Duration::ZERO);
    world.says(40).await;
    end(good, &path).await;
    std::fs::File::create(&path).unwrap();
    world.fails(50, "").await;
    world.fails(60, "is no socket").await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let World { told, mut events, .. } = world(&dir.path().join("socket"));
    told.send_replace(figures());
    assert!(events.recv().await.unwrap().said.is_err());
    drop(told);
    assert!(events.recv().await.is_none(), "the task goes on");
}
