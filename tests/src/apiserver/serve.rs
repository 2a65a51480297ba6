//! The server behind TLS on the loopback, for other processes.

use super::ApiServer;
use super::tls::Certificates;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::Service;

const TOKEN: &str = "a-token-for-tests";

/// The token that is taken.
type Token = Arc<Mutex<String>>;

/// Whether somebody listens; the sender hears when it is so.
type Order = (bool, mpsc::Sender<()>);

/// A server that listens. It has a thread of its own, and stops when it is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    ca: String,
    token: Token,
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(super) fn start(server: ApiServer) -> Self {
        let certificates = Certificates::make();
        let (acceptor, ca) = (certificates.acceptor(), certificates.ca);
        let (orders, ordered) = unbounded_channel();
        let (tell, told) = mpsc::channel();
        let token = Token::new(Mutex::new(TOKEN.to_owned()));
        let taken = Arc::clone(&token);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                run(server, acceptor, taken, listener, ordered).await;
            });
        };
        let thread = thread::Builder::new().name("apiserver".to_owned()).spawn(run).expect("a thread");
        let address = told.recv().expect("the server listens");
        Self { address, ca, token, orders: Some(orders), thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate by which the server is known, in PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The token that the server takes.
    ///
    /// # Panics
    /// When a thread of the server panicked.
    #[must_use]
    pub fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    /// Takes another token from now on, and no other.
    ///
    /// # Panics
    /// When a thread of the server panicked.
    pub fn rotate(&self, token: &str) {
        *self.token.lock().unwrap() = token.to_owned();
    }

    /// Writes a kubeconfig.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn kubeconfig(&self, path: &Path) {
        self.kubeconfig_with(path, &format!("token: {:?}", self.token()));
    }

    /// Writes a kubeconfig whose user is this line of YAML, such as `tokenFile: "/path"`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn kubeconfig_with(&self, path: &Path, user: &str) {
        let ca = serde_json::to_string(&k8s_openapi::ByteString(self.ca.clone().into_bytes())).unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters:\n- name: test\n  cluster:\n    server: {}\n    \
             certificate-authority-data: {ca}\nusers:\n- name: test\n  user:\n    {user}\ncontexts:\n- name: test\n  context:\n    \
             cluster: test\n    user: test\n",
            self.url()
        );
        let written = File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Ends all connections and refuses new ones. What the server knows stays.
    ///
    /// # Panics
    /// When the server has ended.
    pub fn go_away(&self) {
        self.order(false);
    }

    /// Listens again, at the same port.
    ///
    /// # Panics
    /// When the server has ended, such as when another has the port now.
    pub fn come_back(&self) {
        self.order(true);
    }

    fn order(&self, listens: bool) {
        let (tell, told) = mpsc::channel();
        let orders = self.orders.as_ref().expect("ends only when dropped");
        assert!(orders.send((listens, tell)).is_ok() && told.recv().is_ok(), "the server has ended");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.orders.take());
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        assert!(ended.is_ok() || thread::panicking(), "the thread of the server panicked");
    }
}

async fn run(server: ApiServer, acceptor: TlsAcceptor, token: Token, listener: TcpListener, mut orders: UnboundedReceiver<Order>) {
    let address = listener.local_addr().unwrap();
    let (mut listener, mut reserved, mut connections) = (Some(listener), None::<TcpSocket>, JoinSet::new());
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some((listens, tell)) = order else { return };
                if listens {
                    listener = reserved.take().map(|socket| socket.listen(1024).unwrap()).or(listener);
                } else if listener.take().is_some() {
                    reserved = Some(reserve(address));
                    connections.shutdown().await;
                }
                let _ = tell.send(());
            }
            accepted = accept(listener.as_ref()) => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(server.clone(), acceptor.clone(), Arc::clone(&token), stream));
                }
            }
            // The set keeps what has ended until it is asked.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Keeps a port from others, and refuses whoever connects to it.
fn reserve(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    // Connections that have ended hold the port for a while.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn connection(server: ApiServer, acceptor: TlsAcceptor, token: Token, stream: TcpStream) {
    // Whoever does not trust the certificate ends here.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request: Request<Incoming>| admit(server.clone(), token.lock().unwrap().clone(), request));
    // How a connection ends is the client's matter, or the test's.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn admit(mut server: ApiServer, token: String, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if sent.and_then(|sent| sent.strip_prefix("Bearer ")) != Some(&*token) {
        return Ok(server.turn_away(&request.into_parts().0));
    }
    server.call(request).await
}
