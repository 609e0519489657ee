//! Whether the numbers measure the server or this tool.

/// What the tool saw of itself in the steady phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signs {
    /// The busiest thread's share of a processor, in its busiest second or in the whole steady phase.
    pub busiest_share: f64,
    /// 99th percentile of how late timers and publishers looked, through no fault of the server, nanoseconds.
    pub slip_p99_ns: u64,
    /// 99th percentile of the latency, nanoseconds; 0 without messages.
    pub latency_p99_ns: u64,
    /// 99th percentile of how late connections were begun, nanoseconds.
    pub opening_slip_p99_ns: u64,
    /// 99th percentile of how long connections took until they were ready, nanoseconds.
    pub connect_p99_ns: u64,
    /// Connections are opened at a rate that the scenario names: how long they take is what is measured.
    pub has_connect_rate: bool,
    /// Share of the processors of the machine that nobody used.
    pub idle_share: f64,
    /// The longest share of the time that one of the tool's threads was ready to run and had no processor.
    pub waited_share: f64,
    /// Something is due on a schedule.
    ///
    /// Without one nothing is late when a thread is busy: a closed loop goes as fast as both sides together.
    pub has_schedule: bool,
}

/// What follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why the numbers measure the tool.
    pub bottleneck: Vec<String>,
    /// What one should know when reading them, all the same.
    pub remarks: Vec<String>,
}

/// A thread busier than this has no room left for a burst: arrivals wait for it, and that is measured as latency.
pub const BUSY_SHARE_MAX: f64 = 0.9;

/// Later than this is worse than the jitter of any machine that has a processor free.
pub const SLIP_P99_NS_MAX: u64 = 10_000_000;

/// What comes late by a smaller part of the latency is not what makes it.
pub const SLIP_OF_LATENCY_MAX: f64 = 0.25;

/// Below this, slip is the kernel's own timer and scheduler, whatever the latency is.
pub const SLIP_P99_NS_MIN: u64 = 500_000;

/// A machine with less of its processors unused is full.
pub const IDLE_SHARE_MIN: f64 = 0.02;

/// On a full machine: threads that wait longer than this for a processor come late.
pub const WAITED_SHARE_MAX: f64 = 0.2;

/// Weighs the signs.
#[must_use]
pub fn weigh(signs: &Signs) -> Verdict {
    let mut verdict = Verdict::default();
    let due = [busy(signs), late(signs), starved(signs)].into_iter().flatten();
    if signs.has_schedule { &mut verdict.bottleneck } else { &mut verdict.remarks }.extend(due);
    if signs.has_connect_rate { &mut verdict.bottleneck } else { &mut verdict.remarks }.extend(late_opening(signs));
    verdict
}

fn busy(signs: &Signs) -> Option<String> {
    let percent = signs.busiest_share * 100.0;
    (signs.busiest_share > BUSY_SHARE_MAX).then(|| {
        format!("a thread of this tool was busy for {percent:.0} % of a second or of the steady phase: give it more workers (--workers) or processes (--processes)")
    })
}

fn late(signs: &Signs) -> Option<String> {
    let slip_ms = signs.slip_p99_ns as f64 / 1e6;
    let latency_ms = signs.latency_p99_ns as f64 / 1e6;
    let is_part = signs.latency_p99_ns > 0
        && signs.slip_p99_ns > SLIP_P99_NS_MIN
        && signs.slip_p99_ns as f64 > signs.latency_p99_ns as f64 * SLIP_OF_LATENCY_MAX;
    if signs.slip_p99_ns > SLIP_P99_NS_MAX {
        return Some(format!("one in a hundred of this tool's own actions was {slip_ms:.1} ms late or more"));
    }
    is_part.then(|| {
        format!("one in a hundred of this tool's own actions was {slip_ms:.2} ms late or more, beside a latency of {latency_ms:.2} ms")
    })
}

fn late_opening(signs: &Signs) -> Option<String> {
    let slip_ns = signs.opening_slip_p99_ns;
    let is_part = slip_ns as f64 > signs.connect_p99_ns as f64 * SLIP_OF_LATENCY_MAX;
    (slip_ns > SLIP_P99_NS_MAX && is_part).then(|| {
        let slip_ms = slip_ns as f64 / 1e6;
        format!("one in a hundred connections was begun {slip_ms:.1} ms late or more: connect slower, or give more workers (--workers)")
    })
}

fn starved(signs: &Signs) -> Option<String> {
    let is_full = signs.idle_share < IDLE_SHARE_MIN;
    let percent = signs.waited_share * 100.0;
    (is_full && signs.waited_share > WAITED_SHARE_MAX).then(|| {
        format!("all processors were in use, and a thread of this tool waited for one for {percent:.0} % of the time: take a lower rate, or another machine for the tool")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Signs = Signs {
        busiest_share: 0.5,
        slip_p99_ns: 200_000,
        latency_p99_ns: 300_000,
        opening_slip_p99_ns: 200_000,
        connect_p99_ns: 1_000_000,
        has_connect_rate: true,
        idle_share: 0.3,
        waited_share: 0.5,
        has_schedule: true,
    };

    #[test]
    fn a_tool_with_room_is_no_bottleneck() {
        assert_eq!(weigh(&FINE), Verdict::default());
        assert_eq!(weigh(&Signs { waited_share: 0.1, idle_share: 0.0, ..FINE }), Verdict::default());
        assert_eq!(weigh(&Signs { slip_p99_ns: 4_000_000, latency_p99_ns: 20_000_000, ..FINE }), Verdict::default());
    }

    #[test]
    fn each_sign_beyond_its_threshold_is_named() {
        for (signs, words) in [
            (Signs { busiest_share: 0.95, ..FINE }, "busy for 95 %"),
            (Signs { slip_p99_ns: 11_000_000, latency_p99_ns: 0, ..FINE }, "11.0 ms late"),
            (Signs { slip_p99_ns: 600_000, latency_p99_ns: 2_000_000, ..FINE }, "beside a latency of 2.00 ms"),
            (Signs { opening_slip_p99_ns: 20_000_000, connect_p99_ns: 30_000_000, ..FINE }, "begun 20.0 ms late"),
            (Signs { idle_share: 0.01, ..FINE }, "waited for one for 50 %"),
        ] {
            let verdict = weigh(&signs);
            assert!(verdict.bottleneck.len() == 1 && verdict.bottleneck[0].contains(words), "{verdict:?}");
        }
    }

    #[test]
    fn a_ramp_that_nobody_set_a_rate_for_only_says_that_it_was_late() {
        let late = Signs { opening_slip_p99_ns: 20_000_000, has_connect_rate: false, ..FINE };
        let verdict = weigh(&late);
        assert!(verdict.bottleneck.is_empty() && verdict.remarks.len() == 1, "{verdict:?}");
        let small = Signs { opening_slip_p99_ns: 20_000_000, connect_p99_ns: 100_000_000, ..FINE };
        assert_eq!(weigh(&small), Verdict::default(), "a small part of how long connecting takes");
    }

    #[test]
    fn a_closed_loop_says_it_and_does_not_condemn() {
        let signs = Signs { busiest_share: 1.0, idle_share: 0.0, slip_p99_ns: 20_000_000, has_schedule: false, ..FINE };
        let verdict = weigh(&signs);
        assert!(verdict.bottleneck.is_empty() && verdict.remarks.len() == 3, "{verdict:?}");
    }
}
