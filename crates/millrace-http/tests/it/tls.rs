//! The TLS listener on a real socket: a client that trusts it, clients that are slow or speak
//! something else, and a certificate that is renewed.

use std::sync::Arc;
use std::time::Duration;

use millrace_http::server::serve_tls;
use millrace_http::tls::{Certificate, CertificateError};
use millrace_http::{ServeOptions, serve};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::recording::{TestCollector, basic, track};

/// A certificate and its key, as PEM.
struct Pair {
    chain: String,
    key: String,
}

fn pair() -> Pair {
    let names = vec!["localhost".to_owned(), "*.millrace.test".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    Pair { chain: cert.pem(), key: signing_key.serialize_pem() }
}

impl Pair {
    fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

struct Running {
    address: std::net::SocketAddr,
    certificate: Arc<Certificate>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<usize>,
}

async fn start(collector: &TestCollector, pair: &Pair, options: ServeOptions) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let certificate = Arc::new(pair.certificate());
    let (router, own) = (collector.router.clone(), Arc::clone(&certificate));
    let served = tokio::spawn(serve_tls(listener, own, router, options, async {
        let _ = stopped.await;
    }));
    Running { address, certificate, stop, served }
}

/// A client that trusts this certificate and no other.
async fn connect(
    running: &Running,
    trusted: &Pair,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.chain.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(running.address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn call(stream: &mut TlsStream<TcpStream>) -> String {
    let (body, key) = (track(""), basic("dev-write-key:"));
    let text = format!(
        "POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut piece = [0; 512];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "{answer:?}");
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served_as_over_plain_http() {
    let (collector, pair) = (TestCollector::new(), pair());
    let running = start(&collector, &pair, ServeOptions::default()).await;
    for name in ["localhost", "edge.millrace.test", "127.0.0.1"] {
        let mut client = connect(&running, &pair, name).await.unwrap();
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        for _ in 0..2 {
            let answer = call(&mut client).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert_eq!(collector.stored().len(), 1);
        }
    }
    assert!(connect(&running, &pair, "shop.example").await.is_err(), "a name of somebody else");
    running.stop.send(()).unwrap();
    assert_eq!(running.served.await.unwrap(), 0);
}

#[tokio::test]
async fn slow_and_plain_clients_do_not_hold_up_others_nor_the_stop() {
    let (collector, pair) = (TestCollector::new(), pair());
    let running = start(&collector, &pair, ServeOptions::default()).await;
    // Ten clients say nothing or a little, and one speaks plain HTTP.
    let mut silent = Vec::new();
    for place in 0..10 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        if place % 2 == 0 {
            stream.write_all(&[0x16, 0x03]).await.unwrap();
        }
        silent.push(stream);
    }
    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP/"), "nothing is said in plain text");

    let mut client = connect(&running, &pair, "localhost").await.unwrap();
    assert!(call(&mut client).await.ends_with(r#"{"success":true}"#));
    running.stop.send(()).unwrap();
    assert_eq!(running.served.await.unwrap(), 0, "handshakes under way are not waited for");
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_gives_its_place_to_another() {
    let (collector, pair) = (TestCollector::new(), pair());
    let options = ServeOptions {
        max_connections: 1,
        handshake_timeout: Duration::from_millis(50),
        ..ServeOptions::default()
    };
    let running = start(&collector, &pair, options).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(&[0x16]).await.unwrap();
    let mut client = connect(&running, &pair, "localhost").await.unwrap();
    assert!(call(&mut client).await.ends_with(r#"{"success":true}"#));
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_connections_and_a_bad_one_changes_nothing() {
    let (collector, former, renewed) = (TestCollector::new(), pair(), pair());
    let running = start(&collector, &former, ServeOptions::default()).await;
    let mut open = connect(&running, &former, "localhost").await.unwrap();
    let wrong = running.certificate.renew(renewed.chain.as_bytes(), former.key.as_bytes());
    assert!(matches!(wrong, Err(CertificateError::Unusable(_))), "{wrong:?}");
    assert!(connect(&running, &former, "localhost").await.is_ok());

    running.certificate.renew(renewed.chain.as_bytes(), renewed.key.as_bytes()).unwrap();
    assert!(connect(&running, &former, "localhost").await.is_err());
    assert!(connect(&running, &renewed, "localhost").await.is_ok());
    assert!(call(&mut open).await.ends_with(r#"{"success":true}"#), "open connections stay");
}

#[test]
fn what_is_no_certificate_is_told() {
    let good = pair();
    let many = good.chain.repeat(17);
    let refused = |chain: &str, key: &str| {
        Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string()
    };
    for (chain, key, wanted) in [
        ("", good.key.as_str(), "no PEM certificate"),
        (&good.key, &good.key, "no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\n?\n", &good.key, "cannot be read"),
        (&many, &good.key, "more than 16"),
        (&good.chain, "", "no PEM private key"),
        (&good.chain, &good.chain, "no PEM private key"),
        (&good.chain, &pair().key, "cannot be used together"),
    ] {
        assert!(refused(chain, key).contains(wanted), "{wanted}: {}", refused(chain, key));
    }
}

#[tokio::test]
async fn the_plain_listener_stays_plain() {
    let collector = TestCollector::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = collector.router.clone();
    tokio::spawn(serve(listener, router, ServeOptions::default(), std::future::pending()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
}
