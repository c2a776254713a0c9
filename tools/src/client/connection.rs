//! One connection: connect, learn the versions, send a request, read its answer.
//!
//! Every read and write ends at the deadline. What answers may be anything, so the first bytes are
//! looked at before they are believed: a TLS, HTTP or SSH port is told by name.

use anyhow::{Context, Result, anyhow, bail};
use millrace_server::protocol::messages::ApiVersionsRequest;
use millrace_server::protocol::{
    ApiKey, Message, Request, decode_api_versions, decode_response, encode_request,
};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

const CLIENT_ID: &str = "millrace";
/// Larger than any answer the tools ask for.
const RESPONSE_BYTES_MAX: usize = 512 << 20;
const READ_BYTES: usize = 1 << 20;
const API_VERSIONS_VERSION: i16 = 3;

/// A request that was sent and whose answer was not read.
#[derive(Clone, Copy, Debug)]
#[must_use = "its answer must be received before the next one"]
pub(crate) struct Pending {
    version: i16,
    correlation_id: i32,
}

/// A connection whose broker's versions are known.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    address: String,
    timeout: Duration,
    versions: BTreeMap<i16, (i16, i16)>,
    correlation_id: i32,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Connection {
    /// Connects and asks for the broker's versions.
    pub(crate) fn open(address: &str, timeout: Duration) -> Result<Self> {
        let stream = connect(address, timeout)?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream,
            address: address.to_owned(),
            timeout,
            versions: BTreeMap::new(),
            correlation_id: 0,
            request: Vec::new(),
            response: Vec::new(),
        };
        connection.learn_versions()?;
        Ok(connection)
    }

    /// Sends a request and reads its answer.
    pub(crate) fn call<'q, Q: Request<'q>>(&mut self, request: &Q) -> Result<Q::Response<'_>> {
        let pending = self.send(request)?;
        self.receive::<Q>(pending)
    }

    /// Like [`Self::call`], for an answer that may come `patience` later than others.
    pub(crate) fn call_patiently<'q, Q: Request<'q>>(
        &mut self,
        request: &Q,
        patience: Duration,
    ) -> Result<Q::Response<'_>> {
        let pending = self.send(request)?;
        let timeout = self.timeout;
        self.timeout += patience;
        let read = self.read_frame();
        self.timeout = timeout;
        read?;
        self.decode::<Q>(pending)
    }

    /// Sends a request in the newest version both sides know.
    pub(crate) fn send<'q, Q: Request<'q>>(&mut self, request: &Q) -> Result<Pending> {
        let version = self.version(Q::API)?;
        self.send_in(request, version)
    }

    /// Sends a request to which no answer comes.
    pub(crate) fn send_unanswered<'q, Q: Request<'q>>(&mut self, request: &Q) -> Result<()> {
        self.send(request).map(|_| ())
    }

    /// Reads the answer to the oldest request that was sent and not answered.
    pub(crate) fn receive<'q, Q: Request<'q>>(
        &mut self,
        pending: Pending,
    ) -> Result<Q::Response<'_>> {
        self.read_frame()?;
        self.decode::<Q>(pending)
    }

    fn decode<'q, Q: Request<'q>>(&self, pending: Pending) -> Result<Q::Response<'_>> {
        let (correlation_id, response) = decode_response(&self.response, pending.version)
            .with_context(|| format!("answer of {} to {}", self.address, Q::NAME))?;
        if correlation_id != pending.correlation_id {
            bail!(
                "{} answered another request than the one asked",
                self.address
            );
        }
        Ok(response)
    }

    /// The newest version of an API that both sides know.
    pub(crate) fn version(&self, api: ApiKey) -> Result<i16> {
        let (min, max) = api.versions();
        let Some(&(their_min, their_max)) = self.versions.get(&api.key()) else {
            bail!(
                "{} does not offer {api:?}; use a newer broker",
                self.address
            );
        };
        let version = max.min(their_max);
        if version < min.max(their_min) {
            bail!(
                "{} offers {api:?} in versions {their_min} to {their_max}, known here are {min} \
                 to {max}; use a newer tool or broker",
                self.address
            );
        }
        Ok(version)
    }

    fn send_in<'q, M: Message<'q>>(&mut self, request: &M, version: i16) -> Result<Pending> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        self.request.clear();
        let id = self.correlation_id;
        encode_request(&mut self.request, version, id, Some(CLIENT_ID), request)
            .with_context(|| format!("{} for {}", M::NAME, self.address))?;
        self.stream.set_write_timeout(Some(self.timeout))?;
        self.stream
            .write_all(&self.request)
            .map_err(|error| self.broken(&error))?;
        Ok(Pending {
            version,
            correlation_id: id,
        })
    }

    fn learn_versions(&mut self) -> Result<()> {
        let request = ApiVersionsRequest {
            client_software_name: CLIENT_ID,
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        let _ = self.send_in(&request, API_VERSIONS_VERSION)?;
        self.read_frame()?;
        let (_, answer) = decode_api_versions(&self.response, API_VERSIONS_VERSION)
            .with_context(|| format!("{} does not speak the Kafka protocol", self.address))?;
        let keys = answer.api_keys.iter();
        self.versions = keys
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        if self.versions.is_empty() {
            bail!(
                "{} offers no API; error code {}",
                self.address,
                answer.error_code
            );
        }
        Ok(())
    }

    /// Reads one frame into `response`, without its size.
    fn read_frame(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.timeout;
        let mut size = [0; 4];
        self.read_exact(&mut size, deadline)?;
        if let Some(kind) = foreign_protocol(size) {
            bail!(
                "{} answered with {kind}, not with the Kafka protocol; give a plaintext Kafka \
                 listener",
                self.address
            );
        }
        let bytes = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
        if bytes > RESPONSE_BYTES_MAX {
            bail!(
                "{} announced an answer of impossible size; is it a Kafka broker?",
                self.address
            );
        }
        let mut response = std::mem::take(&mut self.response);
        response.clear();
        let result = self.read_body(&mut response, bytes, deadline);
        self.response = response;
        result
    }

    /// Grows the buffer with what really comes, so that a lie about the size costs nothing.
    fn read_body(&mut self, body: &mut Vec<u8>, bytes: usize, deadline: Instant) -> Result<()> {
        while body.len() < bytes {
            let start = body.len();
            body.resize(bytes.min(start + READ_BYTES), 0);
            self.read_exact(&mut body[start..], deadline)?;
        }
        Ok(())
    }

    fn read_exact(&mut self, mut place: &mut [u8], deadline: Instant) -> Result<()> {
        while !place.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match self.stream.read(place) {
                Ok(0) => return Err(self.closed()),
                Ok(count) => place = &mut place[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
            if !place.is_empty() && Instant::now() >= deadline {
                return Err(self.late());
            }
        }
        Ok(())
    }

    fn broken(&self, error: &std::io::Error) -> anyhow::Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.late(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                self.closed()
            }
            _ => anyhow!("connection to {}: {error}", self.address),
        }
    }

    fn late(&self) -> anyhow::Error {
        anyhow!(
            "{} did not answer within {} s; check that it is a plaintext Kafka listener and no \
             other service, or raise --timeout",
            self.address,
            self.timeout.as_secs()
        )
    }

    fn closed(&self) -> anyhow::Error {
        anyhow!(
            "{} closed the connection without an answer, as TLS listeners and other services do; \
             give a plaintext Kafka listener, or see the broker's log",
            self.address
        )
    }
}

/// Tries every address the name has.
fn connect(address: &str, timeout: Duration) -> Result<TcpStream> {
    let parts = address.rsplit_once(':');
    let (host, _) = parts
        .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        .with_context(|| format!("`{address}` is no address; give HOST:PORT"))?;
    let targets: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| anyhow!("host {host} cannot be resolved: {error}; check the name"))?
        .collect();
    let mut last = None;
    for target in targets {
        match TcpStream::connect_timeout(&target, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    let Some(error) = last else {
        bail!("`{address}` has no address; check the name");
    };
    let remedy = match error.kind() {
        ErrorKind::ConnectionRefused => {
            "nothing listens there; start a broker with `millrace serve` or give --bootstrap"
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            "no answer; check address and firewall, or raise --timeout"
        }
        _ => "check the address given with --bootstrap",
    };
    bail!("cannot connect to {address}: {error}; {remedy}")
}

/// What speaks, if the first bytes are not the size of a Kafka frame.
fn foreign_protocol(first: [u8; 4]) -> Option<&'static str> {
    match first {
        [0x15 | 0x16, 0x03, _, _] => Some("TLS"),
        [b'H', b'T', b'T', b'P'] => Some("HTTP"),
        [b'S', b'S', b'H', b'-'] => Some("SSH"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// What a client says about a server that answers with these bytes and then does as told.
    fn said_about(answer: &'static [u8], closes: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let read = stream.read(&mut request).unwrap();
            assert!(read > 0);
            stream.write_all(answer).unwrap();
            if !closes {
                // Ends when the client goes.
                let _ = stream.read(&mut request);
                let _ = stream.read(&mut request);
            }
        });
        let error = Connection::open(&address, Duration::from_millis(300)).unwrap_err();
        server.join().unwrap();
        format!("{error:#}")
    }

    #[test]
    fn foreign_protocols_are_named() {
        assert!(said_about(b"\x15\x03\x03\x00\x02\x02\x0a", true).contains("with TLS"));
        assert!(said_about(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).contains("with HTTP"));
        assert!(said_about(b"SSH-2.0-x\r\n", true).contains("with SSH"));
    }

    #[test]
    fn silence_and_hanging_up_are_told_apart() {
        assert!(said_about(b"", false).contains("did not answer within"));
        assert!(said_about(b"\0\0", false).contains("did not answer within"));
        assert!(said_about(b"", true).contains("closed the connection"));
    }

    #[test]
    fn garbage_and_impossible_sizes_are_refused() {
        assert!(said_about(b"\x7f\xff\xff\xff", true).contains("impossible size"));
        assert!(said_about(b"\xff\xff\xff\xff", true).contains("impossible size"));
        assert!(said_about(b"\0\0\0\x08garbage!", true).contains("does not speak"));
    }

    #[test]
    fn a_port_where_nothing_listens_says_how_to_start_a_broker() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = Connection::open(&address, Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("millrace serve"), "{error}");
        let error = Connection::open("nonsense", Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().contains("give HOST:PORT"), "{error}");
    }
}
