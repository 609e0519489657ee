//! A price ticker: every client asks for the prices it wants, as often as it wants them.
//!
//! ```text
//! cargo run --example price_ticker
//! websocat 'ws://127.0.0.1:7000/msg'
//! {"op":"every","id":1,"job":"prices","interval_ms":1000,"args":{"symbols":["EPU","SHD"]}}
//! ```
//!
//! Prices that everybody wants go out once, to a channel: `{"op":"subscribe","id":2,"channel":"ticker.EPU"}`.
//!
//! Beside another node: `EPUSH_SERVER_LISTEN=127.0.0.1:7010 EPUSH_SERVER_API=127.0.0.1:7011 cargo run --example price_ticker`.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use epush::config::Layers;
use epush::jobs::JobCall;
use epush::{Engine, PushError};
use serde::Deserialize;
use serde_json::{Value, json};

/// Cents, by symbol.
type Prices = Arc<RwLock<HashMap<&'static str, u64>>>;

const SYMBOLS: [(&str, u64); 3] = [("EPU", 10_000), ("SHD", 2_500), ("HUB", 420)];

#[derive(Deserialize)]
struct Wanted {
    symbols: Vec<String>,
}

/// One tick of one client's job. It runs on a reactor, so it only looks things up.
fn render(prices: &Prices, call: &JobCall<'_>) -> Option<Value> {
    let wanted: Wanted = call.parse_args().ok()?;
    let prices = prices.read().expect("no writer panics");
    let found: HashMap<_, _> = wanted.symbols.iter().filter_map(|name| prices.get_key_value(name.as_str())).collect();
    // Nothing to tell is nothing to send.
    (!found.is_empty()).then(|| json!({ "prices": found, "time_ms": call.time_ms }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let prices: Prices = Arc::new(RwLock::new(SYMBOLS.into()));
    let seen = Arc::clone(&prices);
    let config = Layers::new().environment(std::env::vars()).load()?.config;
    let engine = Engine::builder().config(config).job("prices", move |call| render(&seen, call)).start()?;
    println!("{}", engine.ready_line());

    let pusher = engine.pusher();
    for round in 0_u64.. {
        std::thread::sleep(Duration::from_millis(250));
        let (symbol, _) = SYMBOLS[(round % 3) as usize];
        let price = {
            let mut prices = prices.write().expect("no reader panics");
            let price = prices.entry(symbol).or_default();
            // Up by one, now and then down by four.
            *price = if round % 5 == 4 { price.saturating_sub(4) } else { *price + 1 };
            *price
        };
        match pusher.to_channel(&format!("ticker.{symbol}")).kind("price").json(&price)?.push() {
            // Too much under way: the next price is as good.
            Ok(_) | Err(PushError::Full) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
