//! `millrace serve`: runs the pipeline until it is asked to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use millrace_blueprint::Plan;

use super::check;
use super::stop_request::StopRequest;
use crate::app::{Addresses, App};
use crate::cli::ServeArguments;
use crate::config::{Config, DEFAULT_FILE};
use crate::exit::{Failure, Outcome};

/// Where `--dev` listens unless told otherwise (DESIGN section 8).
const DEV_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8080);
const DEV_TWIN_LISTEN: SocketAddr = SocketAddr::new(LOOPBACK, 8081);
const LOOPBACK: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Where `--dev` keeps its data unless told otherwise.
const DEV_DATA: &str = "millrace-data";

/// Serves until Ctrl-C or SIGTERM.
pub(super) fn run(arguments: &ServeArguments) -> Result<Outcome, Failure> {
    let (config, plans) = if arguments.dev { dev(arguments)? } else { from_file(arguments)? };
    let file = (!arguments.dev).then(|| configuration(arguments));
    crate::open_files::raise();
    super::runtime()?.block_on(async {
        let app = App::start(&config, plans, file.as_deref()).await?;
        let stop = StopRequest::listen();
        super::print(addresses(&app.addresses()).as_bytes())?;
        stop.wait().await;
        tracing::info!("stopping");
        app.stop().await;
        Ok(Outcome::Fine)
    })
}

fn dev(arguments: &ServeArguments) -> Result<(Config, Vec<Arc<Plan>>), Failure> {
    let config = Config::dev(
        arguments.listen.unwrap_or(DEV_LISTEN),
        arguments.twin_listen.unwrap_or(DEV_TWIN_LISTEN),
        arguments.data.clone().unwrap_or_else(|| PathBuf::from(DEV_DATA)),
    )
    .and_then(|config| match arguments.tls_listen {
        Some(listen) => config.with_dev_tls(listen),
        None => Ok(config),
    })
    .map_err(|mistakes| {
        check::print_found(&mistakes);
        Failure::usage(anyhow::anyhow!("--dev listens on loopback only"))
    })?;
    let plans = check::plans(&config)
        .map_err(|mistakes| Failure::internal(anyhow::anyhow!("{mistakes:?}")))?;
    Ok((config, plans))
}

fn from_file(arguments: &ServeArguments) -> Result<(Config, Vec<Arc<Plan>>), Failure> {
    check::read_or_explain(&configuration(arguments))
}

fn configuration(arguments: &ServeArguments) -> PathBuf {
    arguments.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE))
}

/// One line each, and `ready` when all of them answer: scripts wait for that line.
fn addresses(addresses: &Addresses) -> String {
    let mut text = format!(
        "collector   http://{}\nmanagement  http://{}\n",
        addresses.collector, addresses.management
    );
    if let Some(tls) = &addresses.tls {
        text.push_str(&format!("collector   https://{}\n", tls.address));
        if let Some(authority) = &tls.authority {
            text.push_str(&format!("trust       {}\n", authority.display()));
        }
    }
    if let Some(twin) = addresses.twin {
        text.push_str(&format!("twin        http://{twin}\n"));
    }
    text.push_str("ready\n");
    text
}
