//! Histograms of nanoseconds: three digits, up to a day, and how they cross processes and land in files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longer is counted as this long: a day, which is the longest a steady phase may last, so that nothing is cut that a run can
/// see. A histogram takes 0.3 MB.
pub const MAX_NS: u64 = 86_400_000_000_000;

/// Latencies in nanoseconds. In JSON: HDR's V2 compressed encoding in base64, as histogram logs have it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hist(pub Histogram<u64>);

impl Default for Hist {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_NS, 3).expect("bounds that are right"))
    }
}

impl Hist {
    /// Counts a value.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    /// Adds all of another.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the same bounds");
    }

    /// The value at a quantile, 0 to 1, in nanoseconds; 0 when it is empty.
    #[must_use]
    pub fn at(&self, quantile: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_quantile(quantile) }
    }

    /// How many values it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest value; 0 when it is empty.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.max() }
    }

    /// The mean; 0 when it is empty.
    #[must_use]
    pub fn mean_ns(&self) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.mean() }
    }

    /// Quantiles and their values, closer together towards the slow end: from 0 to the last one that still leaves a value
    /// above it, then 1 with the largest value. Empty when the histogram is.
    ///
    /// There are 20 points for each further nine, so the curve is smooth where the quantile is drawn as `1 / (1 - quantile)`
    /// on a logarithmic axis.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, u64)> {
        if self.is_empty() {
            return Vec::new();
        }
        let steps = ((self.count() as f64).log10() * CURVE_STEPS).floor() as u32;
        let quantile = |step: u32| 1.0 - 10_f64.powf(-f64::from(step) / CURVE_STEPS);
        let mut points: Vec<_> = (0..=steps).map(quantile).map(|quantile| (quantile, self.at(quantile))).collect();
        points.push((1.0, self.max_ns()));
        points
    }

    /// Where the true value at a quantile lies with 95 % confidence, if the values are independent of each other: the values
    /// at the ranks 1.96 standard deviations of the binomial distribution around it. `None` when it is empty.
    #[must_use]
    pub fn interval(&self, quantile: f64) -> Option<(u64, u64)> {
        if self.is_empty() {
            return None;
        }
        let deviation = 1.96 * (quantile * (1.0 - quantile) / self.count() as f64).sqrt();
        Some((self.at((quantile - deviation).max(0.0)), self.at((quantile + deviation).min(1.0))))
    }
}

/// Points of [`Hist::curve`] for each further nine.
const CURVE_STEPS: f64 = 20.0;

impl Serialize for Hist {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0, &mut bytes).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Hist {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(de::Error::custom)?;
        let read: Histogram<u64> =
            HdrDeserializer::new().deserialize(&mut bytes.as_slice()).map_err(de::Error::custom)?;
        let mut hist = Self::default();
        hist.0.add(&read).map_err(de::Error::custom)?;
        Ok(hist)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(values: u64) -> Hist {
        let mut hist = Hist::default();
        (1..=values).for_each(|value| hist.record(value * 1_000));
        hist
    }

    #[test]
    fn json_carries_all_of_it() {
        let hist = up_to(10_000);
        let text = serde_json::to_string(&hist).expect("a string");
        assert_eq!(serde_json::from_str::<Hist>(&text).expect("what was written"), hist);
        assert!(text.starts_with("\"HISTF"), "HDR's compressed V2 begins so in base64: {text}");
    }

    #[test]
    fn text_that_is_no_histogram_is_refused() {
        for text in ["\"\"", "\"AAAA\"", "\"HISTF\"", "\"not base64 €\"", "7"] {
            assert!(serde_json::from_str::<Hist>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_over_the_bound_counts_as_the_bound() {
        let mut hist = Hist::default();
        hist.record(u64::MAX);
        hist.record(0);
        assert_eq!(hist.count(), 2);
        assert!(hist.0.equivalent(hist.max_ns(), MAX_NS));
    }

    #[test]
    fn an_empty_histogram_answers_everything() {
        let hist = Hist::default();
        assert_eq!((hist.count(), hist.max_ns(), hist.at(0.99), hist.mean_ns()), (0, 0, 0, 0.0));
        assert_eq!((hist.curve(), hist.interval(0.5)), (Vec::new(), None));
    }

    #[test]
    fn the_curve_rises_to_the_maximum() {
        let hist = up_to(10_000);
        let curve = hist.curve();
        assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{curve:?}");
        assert_eq!(curve.last(), Some(&(1.0, hist.max_ns())));
        assert_eq!(up_to(1).curve().len(), 2, "a single value is a flat line");
    }

    #[test]
    fn the_interval_is_around_the_quantile_and_narrower_with_more_values() {
        let width = |values| {
            let hist = up_to(values);
            let (low, high) = hist.interval(0.9).expect("not empty");
            assert!(low <= hist.at(0.9) && hist.at(0.9) <= high);
            (high - low) as f64 / hist.at(0.9) as f64
        };
        assert!(width(100_000) < width(1_000) / 5.0);
    }
}
