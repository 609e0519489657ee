//! Time as people and JSON write it: RFC 3339, UTC, with milliseconds.
//!
//! Knows nothing of clocks and time zones.

use std::io::Write as _;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Days of 400 years, after which the Gregorian calendar repeats itself.
const ERA_DAYS: u64 = 146_097;

/// From 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;

/// Appends `2026-11-03T09:05:07.042Z` for milliseconds since 1970. Years after 9999 get more digits than the RFC has.
pub fn write(out: &mut Vec<u8>, unix_ms: u64) {
    let (year, month, day) = civil(unix_ms / DAY_MS);
    let (hour, minute) = (unix_ms % DAY_MS / HOUR_MS, unix_ms % HOUR_MS / MINUTE_MS);
    let (second, ms) = (unix_ms % MINUTE_MS / SECOND_MS, unix_ms % SECOND_MS);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
        .expect("a Vec takes every write");
}

/// Year, month and day of a day since 1970: Howard Hinnant's `civil_from_days`.
///
/// Years are counted from March, so that the leap day is the last of its year and months follow a line of 153 days in 5.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + (month <= 2) as u64, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(unix_ms: u64) -> String {
        let mut out = Vec::new();
        write(&mut out, unix_ms);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn known_moments_read_as_they_should() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_042, "2024-02-29T00:00:00.042Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (1_234_567_890_123, "2009-02-13T23:31:30.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (4_107_456_000_000, "2100-02-28T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(written(unix_ms), text);
        }
    }

    #[test]
    fn days_follow_each_other_through_an_era_of_leap_years() {
        let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..ERA_DAYS + 1 {
            assert_eq!(civil(days), (year, month, day));
            let in_month = match month {
                2 => 28 + u64::from(leap(year)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > in_month {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn the_last_moment_there_is_does_not_panic() {
        assert!(written(u64::MAX).ends_with('Z'));
    }
}
