//! Times and durations as people write them.

/// `2026-11-23T06:00:00Z`, with an optional fraction, as milliseconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (
        time.next()?.parse::<i64>().ok()?,
        time.next()?.parse::<i64>().ok()?,
    );
    let seconds = time.next()?;
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let second: i64 = second.parse().ok()?;
    let milliseconds: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let days = days_since_1970(year, month, day);
    is_valid.then_some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milliseconds)
}

/// Days of the Gregorian calendar, counted from a March so that leap days come last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let era = year_from_march / 400;
    let year_of_era = year_from_march % 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// `P1DT2H30M5.5S`, each part optional, as milliseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let text = text.strip_prefix('P')?;
    let (days, times) = text.split_once('T').unwrap_or((text, ""));
    let mut milliseconds = 0_i64;
    let parts = [(days, &[('D', 86_400_000)][..])];
    let units = [('H', 3_600_000), ('M', 60_000), ('S', 1000)];
    for (mut rest, units) in parts.into_iter().chain([(times, &units[..])]) {
        for &(unit, factor) in units {
            let Some((number, behind)) = rest.split_once(unit) else {
                continue;
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            let is_valid = fraction.is_empty() || unit == 'S';
            let part = whole.parse::<u32>().ok().filter(|_| is_valid)?;
            let thousandths = format!("{fraction:0<3}").get(..3)?.parse::<u32>().ok()?;
            milliseconds = milliseconds
                .checked_add(i64::from(part).checked_mul(factor)?)?
                .checked_add(i64::from(thousandths))?;
            rest = behind;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    (!matches!(text, "" | "T")).then_some(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_iso_8601() {
        for (text, milliseconds) in [
            ("PT1H", 3_600_000),
            ("P1D", 86_400_000),
            ("P2DT3H4M5.25S", 2 * 86_400_000 + 3 * 3_600_000 + 245_250),
            ("PT0S", 0),
        ] {
            assert_eq!(parse_duration(text), Some(milliseconds), "{text}");
        }
        for wrong in [
            "", "P", "PT", "1H", "PT1", "PT1M1H", "PT1.5H", "P1H", "PT-1S", "PT1Sx",
        ] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_milliseconds_since_1970() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("2000-02-29T12:00:00Z"), Some(951_825_600_000));
        assert_eq!(
            parse_time("2026-11-23T06:00:01.25Z"),
            Some(1_795_413_601_250)
        );
        for wrong in [
            "2026-11-23",
            "2026-13-01T00:00:00Z",
            "2026-11-23T06:00Z",
            "x",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }
}
