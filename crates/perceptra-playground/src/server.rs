//! The server: the files of the page, and a WebSocket for every open page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use burn::tensor::Device;
use perceptra_data::Table;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::PlaygroundError;
use crate::worker::{Reply, work};

/// Maximum number of open pages.
const PAGES: usize = 32;
/// Maximum bytes of a message from a page: an uploaded table.
const MESSAGE: usize = 4 << 20;
/// Maximum number of queued messages of a page, more than anybody can click.
const WAITING: usize = 64;
/// Time after which a page that accepts no bytes, or sends none, is dropped (browsers answer pings by themselves).
const PATIENCE: Duration = Duration::from_mins(1);
const PING: Duration = Duration::from_secs(15);

const FILES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
];

/// Settings of a [`Server`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to listen on; by default 127.0.0.1.
    pub host: IpAddr,
    /// Port to listen on, 0 for any free one; by default 7878.
    pub port: u16,
    /// Device to train on.
    pub device: Device,
    /// Table that every page offers besides the built-in data sets; `None` for no table.
    pub table: Option<Table>,
}

impl Default for Options {
    fn default() -> Self {
        Self { host: Ipv4Addr::LOCALHOST.into(), port: 7878, device: Device::default(), table: None }
    }
}

/// The server of the playground.
#[derive(Debug)]
pub struct Server {
    /// Address that the server listens on, with the actual port if any free one was requested.
    pub address: SocketAddr,
    listener: TcpListener,
    device: Device,
    table: Option<Arc<Table>>,
}

struct Shared {
    address: SocketAddr,
    device: Device,
    table: Option<Arc<Table>>,
    pages: Arc<Semaphore>,
}

impl Server {
    /// Starts to listen on the port; requests are answered by [`Server::run`].
    ///
    /// # Errors
    ///
    /// [`PlaygroundError::Bind`] if the address is in use or does not belong to this machine.
    pub fn bind(options: Options) -> Result<Self, PlaygroundError> {
        let address = SocketAddr::new(options.host, options.port);
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = listener.map_err(|source| PlaygroundError::Bind { address, source })?;
        let table = options.table.map(|table| Arc::new(crate::problem::evenly(table, crate::spec::MAX_ROWS)));
        Ok(Self { listener, address, device: options.device, table })
    }

    /// Serves until `stop` returns true; `stop` is called ten times per second.
    ///
    /// # Errors
    ///
    /// [`PlaygroundError::Server`] if the server fails.
    pub fn run(self, stop: impl Fn() -> bool) -> Result<(), PlaygroundError> {
        let Self { listener, address, device, table } = self;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pages = Arc::new(Semaphore::new(PAGES));
        let shared = Arc::new(Shared { address, device, table, pages });
        let mut app = Router::new().route("/socket", get(socket));
        for (path, kind, text) in FILES {
            app = app.route(
                path,
                get(move |State(shared): State<Arc<Shared>>, headers: HeaderMap| async move {
                    file(&shared, &headers, kind, text)
                }),
            );
        }
        let app = app.with_state(shared);
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let stopped = async {
                while !stop() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! {
                served = axum::serve(listener, app).into_future() => served,
                () = stopped => Ok(()),
            }
        });
        // Pages notice the end of their connections.
        runtime.shutdown_background();
        Ok(served?)
    }
}

/// Whether the header `Host` of a request names this server. A browser that was led here by another name (DNS rebinding) sends that
/// name.
fn is_ours(shared: &Shared, host: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (name, port),
        _ => (host, "80"),
    };
    if port != shared.address.port().to_string() {
        return false;
    }
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match shared.address.ip() {
        // Listening on all addresses, the server accepts any of them.
        here if here.is_unspecified() => ip.is_ok() || name == "localhost",
        here if here.is_loopback() => name == "localhost" || ip == Ok(here),
        here => ip == Ok(here),
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

fn refused(why: &'static str) -> Response {
    (StatusCode::FORBIDDEN, why).into_response()
}

fn file(shared: &Shared, headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    if !is_ours(shared, host(headers)) {
        return refused("this host is not the playground");
    }
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
                  form-action 'none'; frame-ancestors 'none'";
    let mut response = text.into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn socket(State(shared): State<Arc<Shared>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let ours = host(&headers).filter(|host| is_ours(&shared, Some(host)));
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if ours.is_none() || origin.and_then(|o| o.strip_prefix("http://")) != ours {
        return refused("only the playground's own page may use this");
    }
    let Ok(permit) = Arc::clone(&shared.pages).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open").into_response();
    };
    upgrade.max_message_size(MESSAGE).max_frame_size(MESSAGE).on_upgrade(move |socket| async move {
        serve(socket, &shared).await;
        drop(permit);
    })
}

/// Passes messages between a page and its thread until either ends.
async fn serve(mut socket: WebSocket, shared: &Shared) {
    let (to_worker, asks) = mpsc::channel::<String>(WAITING);
    let (answers, mut from_worker) = mpsc::channel::<Reply>(2);
    let (device, table) = (shared.device.clone(), shared.table.clone());
    // If no thread can be started, both channels are closed.
    let _ = std::thread::Builder::new().name("page".into()).spawn(move || work(device, table, asks, answers));
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let why = loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    heard = Instant::now();
                    if to_worker.try_send(text.to_string()).is_err() {
                        break Some((close_code::POLICY, "too many queued messages"));
                    }
                }
                Some(Ok(Message::Binary(_))) => break Some((close_code::UNSUPPORTED, "messages are text")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => heard = Instant::now(),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
            },
            answer = from_worker.recv() => {
                let message = match answer {
                    Some(Reply::Text(text)) => Message::Text(text.into()),
                    Some(Reply::Bytes(bytes)) => Message::Binary(bytes.into()),
                    None => break Some((close_code::ERROR, "the run ended with an internal error")),
                };
                if !matches!(timeout(PATIENCE, socket.send(message)).await, Ok(Ok(()))) {
                    break None;
                }
            },
            _ = pings.tick() => {
                let sent = timeout(PATIENCE, socket.send(Message::Ping(Vec::new().into()))).await;
                if heard.elapsed() > PATIENCE || !matches!(sent, Ok(Ok(()))) {
                    break None;
                }
            },
        }
    };
    if let Some((code, reason)) = why {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        // If this cannot be sent, the page is closed already.
        let _ = timeout(Duration::from_secs(1), socket.send(close)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(host: &str) -> Shared {
        let pages = Arc::new(Semaphore::new(1));
        Shared { address: host.parse().unwrap(), device: Device::flex(), table: None, pages }
    }

    #[test]
    fn other_hosts_are_refused() {
        let loopback = shared("127.0.0.1:7878");
        for (host, ours) in [
            (Some("127.0.0.1:7878"), true),
            (Some("localhost:7878"), true),
            (Some("127.0.0.1:80"), false),
            (Some("127.0.0.1"), false),
            (Some("evil.example:7878"), false),
            (Some("127.0.0.1.evil.example:7878"), false),
            (Some("192.168.1.5:7878"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(is_ours(&loopback, host), ours, "{host:?}");
        }
        assert!(is_ours(&shared("[::1]:7878"), Some("[::1]:7878")));
        assert!(is_ours(&shared("0.0.0.0:80"), Some("192.168.1.5")));
        assert!(!is_ours(&shared("0.0.0.0:80"), Some("evil.example")));
        assert!(is_ours(&shared("192.168.1.5:7878"), Some("192.168.1.5:7878")));
    }
}
