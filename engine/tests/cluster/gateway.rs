//! Three nodes behind a real nginx on `config/nginx-cluster.conf`.

use crate::ask::{push, to_channel, to_user};
use crate::support::client::Dial;
use crate::support::nginx::Nginx;
use crate::support::{Api, Client, PATIENCE, Plan, Redis, eventually, json};

const CLIENTS: usize = 30;

#[test]
fn clients_spread_over_three_nodes_and_those_of_a_killed_one_come_back_to_the_others() {
    let redis = Redis::single();
    let mut nodes = Plan::on(&redis).config("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n").start(3);
    let nginx = Nginx::in_front_of_all([&nodes[0], &nodes[1], &nodes[2]]);
    let connect = |n: usize| {
        let mut client = Client::open(&nginx.url(&format!("/msg/user-{n}")));
        client.subscribe("news");
        client
    };
    let mut clients: Vec<Client> = (0..CLIENTS).map(connect).collect();
    let of = |clients: &[Client], name: &str| clients.iter().filter(|client| client.welcome["node"] == name).count();
    for name in ["n1", "n2", "n3"] {
        let count = of(&clients, name);
        assert!((5..=15).contains(&count), "{name} has {count}");
    }
    let mut api = nodes[0].api();
    let everybody = |clients: &mut Vec<Client>, api: &mut Api, word: &str| {
        push(api, &to_channel("news", word));
        clients.iter_mut().for_each(|client| drop(client.expect_message(word)));
        for (n, client) in clients.iter_mut().enumerate() {
            push(api, &to_user(&format!("user-{n}"), n));
            client.expect_message(n);
        }
    };
    everybody(&mut clients, &mut api, "before");

    nodes.kill(1);
    for (n, client) in clients.iter_mut().enumerate() {
        if client.welcome["node"] == "n2" {
            assert!(client.is_cut_off(), "nginx passes on that the node is gone");
            *client = connect(n);
            assert_ne!(client.welcome["node"], "n2");
        }
    }
    assert_eq!(of(&clients, "n1") + of(&clients, "n3"), CLIENTS);
    everybody(&mut clients, &mut api, "after");

    // Back on another port, so nginx does not know it; the two that are left carry on.
    let shown = nodes[2].get("/v1/channels/news").json();
    assert_eq!(shown["cluster"]["subscribers"], CLIENTS);
}

#[test]
fn a_draining_node_gets_no_new_clients_from_nginx_and_nobody_is_refused() {
    let redis = Redis::single();
    let config = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[drain]\nseconds = 2\n";
    let nodes = Plan::on(&redis).config(config).start(3);
    let nginx = Nginx::in_front_of_all([&nodes[0], &nodes[1], &nodes[2]]);
    let mut old: Vec<Client> = (0..12).map(|n| Client::open(&nginx.url(&format!("/msg/user-{n}")))).collect();
    nodes[0].api().request("POST", "/v1/drain", None);
    eventually(PATIENCE, "it takes no more", || std::net::TcpStream::connect(nodes[0].clients).is_err().then_some(()));
    for n in 0..12 {
        let client = Client::open(&nginx.url(&format!("/msg/new-{n}")));
        assert_ne!(client.welcome["node"], "n1");
        old.push(client);
    }
    for client in &mut old {
        if client.welcome["node"] == "n1" {
            client.expect_goodbye(1001, "drain");
        }
    }
}

#[test]
fn nodes_see_the_clients_addresses_through_nginx() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[server]\ntrusted_proxies = [\"127.0.0.1\"]\n").start(3);
    let nginx = Nginx::in_front_of_all([&nodes[0], &nodes[1], &nodes[2]]);
    let _client = Dial::default().local("127.0.0.5").open(&nginx.url("/msg/42"));
    for node in nodes.nodes() {
        let seen = crate::ask::sessions(node, "42");
        assert_eq!(seen[0]["remote"], json!("127.0.0.5"));
    }
}
