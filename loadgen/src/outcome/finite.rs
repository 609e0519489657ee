//! Numbers that are none, NaN and the infinities: JSON has only `null` for them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// A number; 0 where `null` stands.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(0.0))
}

/// Samples without those that are no numbers: Prometheus writes NaN for the quantile of nothing.
pub fn samples<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let all = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}
