//! The seconds of a run as points of charts: no more of them than a chart can show.

use crate::outcome::{Phase, Tick};
use crate::report::chart::Band;

/// Points of a chart: about one for each pixel of its width.
const POINTS_MAX: usize = 600;

/// A second, or as many seconds as share a point. Rates are for a second; what was not measured is NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its end, seconds from the start.
    pub at_s: f64,
    pub connections: f64,
    pub failed: f64,
    pub published: f64,
    pub delivered: f64,
    /// The highest of the seconds; so are the next two.
    pub p50_ns: f64,
    pub p99_ns: f64,
    pub max_ns: f64,
    /// The mean of the seconds; so is the next.
    pub client_cpu: f64,
    pub server_cpu: f64,
    pub server_rss_bytes: f64,
}

/// The whole run.
pub fn points(timeline: &[Tick]) -> Vec<Point> {
    let together = timeline.len().div_ceil(POINTS_MAX).max(1);
    let mut before_ms = 0;
    let chunks = timeline.chunks(together);
    let point = |ticks: &[Tick]| {
        let end_ms = ticks.last().map_or(before_ms, |tick| tick.at_ms);
        let point = Point::of(ticks, end_ms.saturating_sub(before_ms).max(1) as f64 / 1_000.0);
        before_ms = end_ms;
        point
    };
    chunks.map(point).collect()
}

impl Point {
    /// `ticks` is not empty, and takes so many seconds.
    fn of(ticks: &[Tick], seconds: f64) -> Self {
        let rate = |of: fn(&Tick) -> u64| ticks.iter().map(of).sum::<u64>() as f64 / seconds;
        // A second in which nothing arrived has no latency.
        let worst = |of: fn(&Tick) -> u64| match ticks.iter().map(of).max() {
            Some(worst) if worst > 0 => worst as f64,
            _ => f64::NAN,
        };
        let mean = |of: fn(&Tick) -> Option<f64>| {
            let values: Vec<f64> = ticks.iter().filter_map(of).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let last = &ticks[ticks.len() - 1];
        Self {
            at_s: last.at_ms as f64 / 1_000.0,
            connections: last.connections as f64,
            failed: rate(|tick| tick.failed),
            published: rate(|tick| tick.published),
            delivered: rate(|tick| tick.delivered),
            p50_ns: worst(|tick| tick.p50_ns),
            p99_ns: worst(|tick| tick.p99_ns),
            max_ns: worst(|tick| tick.max_ns),
            client_cpu: mean(|tick| Some(tick.client_cpu)),
            server_cpu: mean(|tick| tick.server_cpu),
            server_rss_bytes: mean(|tick| tick.server_rss_bytes.map(|bytes| bytes as f64)),
        }
    }
}

/// The phases around the steady one.
pub fn bands(timeline: &[Tick]) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    let mut before_s = 0.0;
    let mut before = Phase::Steady;
    for tick in timeline {
        let at_s = tick.at_ms as f64 / 1_000.0;
        match bands.last_mut() {
            _ if tick.phase == Phase::Steady => {}
            Some(last) if tick.phase == before => last.to = at_s,
            _ => bands.push(Band { from: before_s, to: at_s, name: name(tick.phase).to_owned() }),
        }
        before = tick.phase;
        before_s = at_s;
    }
    bands
}

const fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Ramp => "ramp",
        Phase::Steady => "steady",
        Phase::Drain => "drain",
        Phase::RampDown => "ramp-down",
    }
}

/// Seconds since 1970 as date and time.
pub fn date(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Howard Hinnant's `civil_from_days`, for days since 1970 that are not negative.
const fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 1 March of the year 0: leap days come last in their years then.
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(second: u64, phase: Phase) -> Tick {
        Tick { at_ms: (second + 1) * 1_000, phase, delivered: 10, p99_ns: second, ..Tick::default() }
    }

    #[test]
    fn a_long_run_has_no_more_points_than_pixels_and_keeps_its_worst() {
        let timeline: Vec<_> = (0..10_000).map(|second| tick(second, Phase::Steady)).collect();
        let points = points(&timeline);
        assert!(points.len() <= POINTS_MAX && points.len() > POINTS_MAX / 2, "{}", points.len());
        assert!(points.iter().all(|point| (point.delivered - 10.0).abs() < 1e-9), "rates stay rates");
        assert_eq!(points.last().map(|point| (point.at_s, point.p99_ns)), Some((10_000.0, 9_999.0)));
    }

    #[test]
    fn what_was_not_measured_has_no_value() {
        let points = points(&[tick(0, Phase::Steady)]);
        assert!(points[0].p50_ns.is_nan() && points[0].server_cpu.is_nan());
    }

    #[test]
    fn phases_around_the_steady_one_are_bands() {
        let phases = [Phase::Ramp, Phase::Ramp, Phase::Steady, Phase::Drain, Phase::RampDown];
        let timeline: Vec<_> = (0..).zip(phases).map(|(second, phase)| tick(second, phase)).collect();
        let bands: Vec<_> = bands(&timeline).into_iter().map(|band| (band.from, band.to, band.name)).collect();
        let band = |from, to, name: &str| (from, to, name.to_owned());
        assert_eq!(bands, [band(0.0, 2.0, "ramp"), band(3.0, 4.0, "drain"), band(4.0, 5.0, "ramp-down")]);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(date(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(date(1_767_225_600), "2026-01-01 00:00:00");
    }
}
