//! A small HTTP/1.1 server on threads and blocking sockets. It is written by hand because a fake must do what a
//! correct server does not, such as sending a wrong length or closing the connection in the middle.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as received.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// With the names as sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header; the name is case-insensitive.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// A response, and faults to make while sending it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// A `Content-Length` to send instead of the right one.
    pub promised: Option<usize>,
    /// Delay before the first byte.
    pub delay: Duration,
    /// Delay between head and body.
    pub pause: Duration,
    /// Sends the body repeatedly, chunked, until the client stops reading or 256 MiB were sent.
    pub endless: bool,
    /// Closes the connection without a response.
    pub hang_up: bool,
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into(), ..Self::default() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A server on a free port of this machine; dropping it stops it.
pub struct Server {
    scheme: &'static str,
    address: SocketAddr,
    ending: Arc<AtomicBool>,
}

/// A connection, plain or with TLS.
trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen("http", |stream| Box::new(stream), answer)
    }

    /// Like `start`, at a fixed address. Waits up to a minute, because another test run on this machine may use the
    /// address.
    #[allow(clippy::disallowed_methods)]
    pub fn start_at(address: &str, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        for _ in 0..600 {
            match TcpListener::bind(address) {
                Ok(listener) => return Self::serve("http", listener, |stream| Box::new(stream), answer),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        panic!("{address} is not free");
    }

    /// Like `start`, with TLS; also returns the server's certificate authority as PEM.
    pub fn start_tls(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Self, String) {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let secure = move |stream| -> Box<dyn Stream> {
            Box::new(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream))
        };
        (Self::listen("https", secure, answer), own.cert.pem())
    }

    fn listen(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(scheme, TcpListener::bind("127.0.0.1:0").unwrap(), wrap, answer)
    }

    fn serve(
        scheme: &'static str,
        listener: TcpListener,
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + 'static,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let (ended, answer) = (ending.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                stream.set_nodelay(true).unwrap();
                stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
                let (stream, answer, ended) = (wrap(stream), answer.clone(), ended.clone());
                // It is not an error if the client disconnects or the server cuts the connection.
                std::thread::spawn(move || converse(stream, answer.as_ref(), &ended).ok());
            }
        });
        Self { scheme, address, ending }
    }

    /// `http://127.0.0.1:PORT`, or `https`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the listener, which then closes its port.
        TcpStream::connect(self.address).ok();
    }
}

/// A URL of this machine at which nothing listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Answers the requests on a connection until the client or the server ends it.
fn converse(
    stream: Box<dyn Stream>,
    answer: &dyn Fn(&Request) -> Reply,
    ended: &AtomicBool,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        if ended.load(Ordering::SeqCst) {
            break;
        }
        let whole = write(reader.get_mut(), &answer(&request), request.method == "HEAD")?;
        let close = request.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !whole || close {
            break;
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<Box<dyn Stream>>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, target, headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if let Some(length) = request.header("Content-Length").and_then(|text| text.parse().ok()) {
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
    } else if request.header("Transfer-Encoding").is_some() {
        request.body = chunks(reader)?;
    }
    Ok(Some(request))
}

fn chunks(reader: &mut BufReader<Box<dyn Stream>>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16);
        let length = length.map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + length, 0);
        reader.read_exact(&mut body[start..])?;
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

/// Sends a response and returns whether the connection can be reused.
// Runs on its own thread, which may sleep.
#[allow(clippy::disallowed_methods)]
fn write(stream: &mut dyn Stream, reply: &Reply, head_only: bool) -> io::Result<bool> {
    std::thread::sleep(reply.delay);
    if reply.hang_up {
        return Ok(false);
    }
    let mut head = format!("HTTP/1.1 {} As It Is\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let promised = reply.promised.unwrap_or(reply.body.len());
    head += &match reply.endless {
        true => "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
        false => format!("Content-Length: {promised}\r\n\r\n"),
    };
    stream.write_all(head.as_bytes())?;
    if head_only {
        return Ok(true);
    }
    std::thread::sleep(reply.pause);
    if reply.endless {
        for _ in 0..(256 << 20) / reply.body.len().max(1) {
            write!(stream, "{:x}\r\n", reply.body.len())?;
            stream.write_all(&reply.body)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b"0\r\n\r\n")?;
        return Ok(true);
    }
    stream.write_all(&reply.body)?;
    stream.flush()?;
    Ok(promised == reply.body.len())
}
