//! What must be so before any load: the server answers, descriptors and ports suffice, what is to be watched can be seen.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{self, Error};
use crate::plan::Plan;
use crate::publisher::socket::Route;
use crate::sample::metrics::Scraper;
use crate::sample::process::Process;
use crate::scenario::url::Url;
use crate::scenario::{Pace, Via};
use crate::worker::{self, route, tls};

/// What the checks found.
#[derive(Debug)]
pub struct Cleared {
    /// The server's process, where it is to be watched.
    pub server: Option<Process>,
    /// Its metrics page, where it is to be read.
    pub scraper: Option<Scraper>,
    /// For each publisher: where it goes, and the host as in `host:`.
    pub routes: Vec<(Arc<Route>, String)>,
}

/// Checks everything.
///
/// # Errors
/// [`Error::Usage`] for what is wrong on this side, [`Error::Failed`] when the server does not answer; each with what to do.
pub fn check(plan: &Plan) -> Result<Cleared, Error> {
    refuse_delivered_over_processes(plan)?;
    let tool = &plan.scenario.tool;
    let processes = tool.processes.max(1) as u64;
    let connections: u64 = plan.scenario.publishers.iter().map(|publisher| u64::from(publisher.connections)).sum();
    worker::allow_descriptors(u64::from(plan.clients()).div_ceil(processes) + connections)?;
    ports_suffice(plan, local_ports()).map_err(Error::Usage)?;
    let routes = (0..plan.scenario.publishers.len()).map(|number| route_of(plan, number)).collect::<Result<_, _>>()?;
    let server = plan.scenario.target.pid.map(Process::find).transpose();
    let server = server.map_err(|words| Error::Usage(format!("target.pid: {words}")))?;
    probe(plan, "target.url", &plan.url)?;
    if let Some(api) = &plan.api
        && !plan.scenario.publishers.is_empty()
    {
        probe(plan, "target.api", api)?;
    }
    let scraper = plan.scenario.target.metrics.as_deref().map(Scraper::start).transpose();
    let scraper = scraper.map_err(|words| Error::Failed(format!("target.metrics cannot be read: {words}")))?;
    Ok(Cleared { server, scraper, routes })
}

/// Deliveries are counted in memory that processes do not share.
fn refuse_delivered_over_processes(plan: &Plan) -> Result<(), Error> {
    let waits = plan.scenario.publishers.iter().any(|publisher| publisher.pace == Pace::Delivered);
    if waits && plan.scenario.tool.processes > 1 {
        return Err(Error::Usage(String::from(
            "a publisher that waits for delivery needs all clients in one process: leave out --processes, or publish at a rate",
        )));
    }
    Ok(())
}

/// Each connection from one address to one server takes a port of that address.
fn ports_suffice(plan: &Plan, ports: u64) -> Result<(), String> {
    let sources = plan.sources.len().max(1) as u64;
    let clients = u64::from(plan.clients());
    if clients.div_ceil(sources) <= ports {
        return Ok(());
    }
    Err(format!(
        "{clients} connections from {sources} address(es) need more than the {ports} local ports there are for each \
         (net.ipv4.ip_local_port_range): connect from {} addresses, for a local server as in tool.source_addresses = [\"127.0.0.0/8\"]",
        clients.div_ceil(ports.max(1))
    ))
}

fn local_ports() -> u64 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_ascii_whitespace().filter_map(|end| end.parse::<u64>().ok());
    match (ends.next(), ends.next()) {
        (Some(first), Some(last)) if last >= first => last - first + 1,
        _ => u64::from(u16::MAX),
    }
}

fn route_of(plan: &Plan, number: usize) -> Result<(Arc<Route>, String), Error> {
    let via = plan.scenario.publishers[number].via.unwrap_or_else(|| plan.dialect.via());
    let url = match via {
        Via::Http => plan.api.as_ref().unwrap_or(&plan.url),
        Via::WebSocket => &plan.url,
    };
    let address = resolve(url)?[0];
    let tls = tls::of_url(url, &plan.scenario.target).map_err(Error::Usage)?;
    Ok((Arc::new(Route { address, tls }), url.authority()))
}

fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Error> {
    route::resolve(&url.host, url.port).map_err(Error::Usage)
}

/// One connection, so that a server that is not there is said once and not by every client.
fn probe(plan: &Plan, what: &str, url: &Url) -> Result<(), Error> {
    let timeout = Duration::from_millis(plan.scenario.phases.connect_timeout_ms.max(1));
    let addresses = resolve(url)?;
    let mut words = String::new();
    for (at, address) in addresses.iter().enumerate() {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(_) if at == 0 => return Ok(()),
            // Clients and publishers take the first: thousands of them must not try one after the other.
            Ok(_) => {
                return Err(Error::Usage(format!(
                    "{what}: {words}, and {address} answers: write that address instead of {}",
                    url.host
                )));
            }
            Err(error) => words = format!("{address}: {}", error::words(&error)),
        }
    }
    Err(Error::Failed(format!(
        "no server answers at {what} ({words}): start it, or say where it is with {}",
        flag(what)
    )))
}

fn flag(what: &str) -> &'static str {
    if what == "target.api" { "--api" } else { "--url" }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::run::testing;

    #[test]
    fn a_server_that_is_not_there_is_said_with_what_to_do() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let plan = Plan::new(testing::hold(&format!("ws://{gone}"), 1)).unwrap();
        let Err(Error::Failed(words)) = check(&plan) else { panic!("it is gone") };
        assert!(words.contains("connection refused") && words.contains("start it"), "{words}");
    }

    #[test]
    fn a_name_that_is_none_is_a_usage_error() {
        let plan = Plan::new(testing::hold("ws://no-such-host.invalid:1", 1)).unwrap();
        let Err(Error::Usage(words)) = check(&plan) else { panic!("there is no such host") };
        assert!(words.contains("no-such-host.invalid"), "{words}");
    }

    #[test]
    fn a_process_that_is_not_there_is_a_usage_error() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut scenario = testing::hold(&format!("ws://{}", server.local_addr().unwrap()), 1);
        scenario.target.pid = Some(u32::MAX / 2);
        let Err(Error::Usage(words)) = check(&Plan::new(scenario).unwrap()) else { panic!("there is no such process") };
        assert!(words.contains("target.pid"), "{words}");
    }

    #[test]
    fn a_metrics_page_that_cannot_be_read_fails() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut scenario = testing::hold(&format!("ws://{}", server.local_addr().unwrap()), 1);
        scenario.target.metrics = Some(format!("http://{gone}/metrics"));
        let Err(Error::Failed(words)) = check(&Plan::new(scenario).unwrap()) else { panic!("there is no page") };
        assert!(words.contains("target.metrics"), "{words}");
    }

    #[test]
    fn too_few_ports_are_explained_and_more_addresses_help() {
        let mut scenario = testing::hold("ws://127.0.0.1:1", 100);
        let words = ports_suffice(&Plan::new(scenario.clone()).unwrap(), 30).unwrap_err();
        assert!(words.contains("connect from 4 addresses"), "{words}");
        scenario.tool.source_addresses =
            vec!["127.0.0.1".into(), "127.0.0.2".into(), "127.0.0.3".into(), "127.0.0.4".into()];
        assert_eq!(ports_suffice(&Plan::new(scenario).unwrap(), 30), Ok(()));
        assert!(local_ports() > 1_000);
    }

    #[test]
    fn waiting_for_delivery_needs_one_process() {
        let mut scenario = testing::fanout("ws://127.0.0.1:1", 2, 1.0);
        (scenario.publishers[0].pace, scenario.tool.processes) = (Pace::Delivered, 2);
        assert!(matches!(check(&Plan::new(scenario).unwrap()), Err(Error::Usage(_))));
    }
}
