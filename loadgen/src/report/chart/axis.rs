//! An axis: from values to positions, and which values get a mark.

/// What an axis is about.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What is drawn along it, with its unit where the marks have none.
    pub title: String,
    /// How values are spread.
    pub scale: Scale,
    /// A mark's text.
    pub label: fn(f64) -> String,
    /// Marks at these values and no others. Empty: where they are round.
    pub marks: Vec<f64>,
}

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, with 0 in view.
    Linear,
    /// By their logarithm; only values over 0 have a place.
    Log,
}

/// Values over a range this wide are easier to read on [`Scale::Log`].
const LOG_FROM_RATIO: f64 = 30.0;

/// Marks on a linear axis, at most about so many.
const MARKS: f64 = 6.0;

/// Decades on a logarithmic axis up to which 2 and 5 get marks, too.
const DECADES_WITH_MINOR: f64 = 2.1;

/// A line at the edge could be taken for the edge.
const HEADROOM: f64 = 1.02;

/// More marks than this are thinned out.
const MARKS_MAX: usize = 9;

impl Axis {
    /// An axis with round marks.
    #[must_use]
    pub fn new(title: &str, scale: Scale, label: fn(f64) -> String) -> Self {
        Self { title: title.to_owned(), scale, label, marks: Vec::new() }
    }
}

impl Scale {
    /// The scale on which these values are legible.
    #[must_use]
    pub fn fitting(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values.filter(|value| *value > 0.0));
        if low > 0.0 && high / low > LOG_FROM_RATIO { Self::Log } else { Self::Linear }
    }
}

/// A range of values, along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Span {
    /// From the values to show, widened to round bounds. There always is a range, even without values.
    pub fn round(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0));
        let (low, high) = bounds(values);
        match scale {
            Scale::Linear => {
                let (low, high) = (low.min(0.0), if high > 0.0 { high } else { 1.0 });
                let step = step(high - low);
                Self { scale, low: (low / step).floor() * step, high: (high * HEADROOM / step).ceil() * step }
            }
            Scale::Log if low > high => Self { scale, low: 1.0, high: 10.0 },
            Scale::Log => {
                let (low, high) = (round_down(low / HEADROOM), round_up(high * HEADROOM));
                Self { scale, low, high: if high > low { high } else { low * 10.0 } }
            }
        }
    }

    /// From the values to show, no wider than they are.
    pub fn tight(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| value.is_finite() && (scale == Scale::Linear || *value > 0.0));
        let (low, high) = bounds(values);
        match scale {
            _ if low < high => Self { scale, low, high },
            // One value, or none: it needs a range around it.
            Scale::Linear if low == high => Self { scale, low: low.min(0.0), high: high.max(low.min(0.0) + 1.0) },
            Scale::Log if low == high => Self { scale, low, high: low * 10.0 },
            Scale::Linear => Self { scale, low: 0.0, high: 1.0 },
            Scale::Log => Self { scale, low: 1.0, high: 10.0 },
        }
    }

    /// Where a value is, 0 to 1. `None` when it has no place on this scale.
    pub fn place(&self, value: f64) -> Option<f64> {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => return None,
            Scale::Log => (value / self.low).log10() / (self.high / self.low).log10(),
        };
        place.is_finite().then(|| place.clamp(0.0, 1.0))
    }

    /// Round values along it.
    pub fn marks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.high - self.low);
                let first = (self.low / step - 1e-9).ceil() as i64;
                let last = (self.high / step + 1e-9).floor() as i64;
                (first..=last).map(|at| at as f64 * step).collect()
            }
            Scale::Log => self.log_marks(),
        }
    }

    fn log_marks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let within = |mark: &f64| *mark >= self.low * 0.999 && *mark <= self.high * 1.001;
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let digits: &[f64] = if decades <= DECADES_WITH_MINOR { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = (first..=last).flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
        let marks: Vec<f64> = all.filter(within).collect();
        let every = marks.len().div_ceil(MARKS_MAX).max(1);
        marks.into_iter().step_by(every).collect()
    }
}

/// The smallest and the largest; the wrong way round when there are none.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// Between two marks: 1, 2 or 5 and noughts.
fn step(range: f64) -> f64 {
    let rough = range / MARKS;
    let power = 10_f64.powf(rough.log10().floor());
    let digit = rough / power;
    let round = if digit <= 1.0 + 1e-9 {
        1.0
    } else if digit <= 2.0 + 1e-9 {
        2.0
    } else if digit <= 5.0 + 1e-9 {
        5.0
    } else {
        10.0
    };
    round * power
}

/// The next 1, 2 or 5 and noughts below.
fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digit = value / power * (1.0 + 1e-9);
    power
        * if digit >= 5.0 {
            5.0
        } else if digit >= 2.0 {
            2.0
        } else {
            1.0
        }
}

/// The next 1, 2 or 5 and noughts above.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digit = value / power * (1.0 - 1e-9);
    power
        * if digit <= 1.0 {
            1.0
        } else if digit <= 2.0 {
            2.0
        } else if digit <= 5.0 {
            5.0
        } else {
            10.0
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn linear_axes_begin_at_nought_and_have_round_marks() {
        let span = Span::round(Scale::Linear, [130.0, 870.0].into_iter());
        assert!(Span::round(Scale::Linear, [1_000.0].into_iter()).place(1_000.0) < Some(1.0), "not at the edge");
        assert_eq!(span.marks(), [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]);
        assert_eq!((span.place(0.0), span.place(500.0), span.place(1_000.0)), (Some(0.0), Some(0.5), Some(1.0)));
    }

    #[test]
    fn logarithmic_axes_have_decades() {
        let span = Span::round(Scale::Log, [3e4, 7e8].into_iter());
        assert_eq!(span.marks(), [1e5, 1e6, 1e7, 1e8, 1e9]);
        assert_eq!(Span::round(Scale::Log, [30.0, 400.0].into_iter()).marks(), [20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(span.place(0.0), None);
    }

    #[test]
    fn a_wide_range_asks_for_a_logarithm() {
        assert_eq!(Scale::fitting([1.0, 100.0].into_iter()), Scale::Log);
        assert_eq!(Scale::fitting([0.0, 50.0, 100.0].into_iter()), Scale::Linear);
        assert_eq!(Scale::fitting([].into_iter()), Scale::Linear);
    }

    proptest! {
        #[test]
        fn every_set_of_values_has_places_and_a_few_marks(
            values in proptest::collection::vec(prop_oneof![0.0..1e12_f64, 0.0..1e-3_f64, Just(0.0), Just(f64::NAN)], 0..6),
            log in proptest::bool::ANY,
        ) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            for span in [Span::round(scale, values.iter().copied()), Span::tight(scale, values.iter().copied())] {
                let marks = span.marks();
                prop_assert!(marks.len() <= 12, "{:?} of {:?}", marks, span);
                prop_assert!(marks.iter().all(|mark| span.place(*mark).is_some()));
                let placed = |value: &f64| value.is_nan() || (log && *value <= 0.0) || span.place(*value).is_some();
                prop_assert!(values.iter().all(placed), "{:?}", span);
            }
            prop_assert!(!Span::round(scale, values.iter().copied()).marks().is_empty());
        }
    }
}
