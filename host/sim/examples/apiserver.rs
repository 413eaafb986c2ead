//! Serves the played API server over plain HTTP on loopback, to try kubectl by hand:
//! `cargo run -p pilothouse-sim --example apiserver -- 18080`, then `kubectl -s http://127.0.0.1:18080 get ns`.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use pilothouse_sim::apiserver::{ApiServer, garbage};
use pilothouse_sim::clock::Clock;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).map_or(Ok(18080), |text| text.parse())?;
    let server = ApiServer::new(Clock::starting_at(1_767_225_600_000), 1);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let collected = server.clone();
    tokio::spawn(async move {
        let mut newest = collected.subscribe();
        while newest.changed().await.is_ok() {
            while garbage::collect(&collected) > 0 {}
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(server.service());
        tokio::spawn(async move {
            let served = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                eprintln!("connection: {error}");
            }
        });
    }
}
