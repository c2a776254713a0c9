//! The reactor of the engine against tokio-uring on the same small exchange, so that the choice of
//! an own reactor stays re-testable: one connection, 128 bytes there and back.

use criterion::{Criterion, criterion_group, criterion_main};
use millrace_bench::broker_process::RunDirectory;
use millrace_bench::scenarios::calibration;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;

const BYTES: usize = 128;

fn exchange(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = [0x5a; BYTES];
    stream.write_all(&bytes)?;
    stream.read_exact(&mut bytes)
}

fn client(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the echo listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

fn reactor(c: &mut Criterion) {
    let directory = RunDirectory::new(&std::env::temp_dir(), "runtime").expect("a temp dir");
    let (address, echo) = calibration::start_echo(0, &directory.0).expect("an echo");
    let mut stream = client(address);
    c.bench_function("echo_128/reactor", |b| b.iter(|| exchange(&mut stream)));
    drop(stream);
    echo.join()
        .expect("the echo ends with its connection")
        .expect("the echo ran");
}

fn tokio_uring_baseline(c: &mut Criterion) {
    let (tell, told) = sync_channel(1);
    let echo = std::thread::spawn(move || {
        tokio_uring::start(async move {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            tell.send(listener.local_addr().expect("bound"))
                .expect("the bench waits");
            let listener = tokio_uring::net::TcpListener::from_std(listener);
            let (stream, _) = listener.accept().await.expect("the bench connects");
            stream.set_nodelay(true).expect("a TCP socket");
            let mut buffer = vec![0; BYTES];
            loop {
                let (count, back) = stream.read(buffer).await;
                if !matches!(count, Ok(1..)) {
                    break;
                }
                let (sent, back) = stream.write_all(back).await;
                buffer = back;
                if sent.is_err() {
                    break;
                }
            }
        });
    });
    let mut stream = client(told.recv().expect("the echo started"));
    c.bench_function("echo_128/tokio_uring", |b| b.iter(|| exchange(&mut stream)));
    drop(stream);
    echo.join().expect("the echo ends with its connection");
}

criterion_group!(runtime, reactor, tokio_uring_baseline);
criterion_main!(runtime);
