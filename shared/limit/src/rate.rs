//! A rate as configuration writes it: `100/60s`.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// The most calls that a rate may allow: an exact window remembers each of them.
const CALLS_MAX: u32 = 10_000;
const WINDOW_MAX: Duration = Duration::from_secs(3600);

/// At most so many calls in any window of this length; written `100/60s`, `10/1m`, `1000/1h`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    calls_max: NonZeroU32,
    window: Duration,
}

/// Why a text is no rate.
#[derive(Debug, thiserror::Error)]
#[error("a rate must be 1 to {CALLS_MAX} calls in 1 second to 1 hour, like `100/60s`, `10/1m` or `1000/1h`")]
pub struct BadRate(());

// === impl Rate ===

impl Rate {
    /// How many calls a window admits.
    pub fn calls_max(self) -> u32 {
        self.calls_max.get()
    }

    /// How long a window is.
    pub fn window(self) -> Duration {
        self.window
    }
}

impl Default for Rate {
    fn default() -> Self {
        const { Self { calls_max: NonZeroU32::new(100).expect("not zero"), window: Duration::from_secs(60) } }
    }
}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        parse(text).ok_or(BadRate(()))
    }
}

impl TryFrom<String> for Rate {
    type Error = BadRate;

    fn try_from(text: String) -> Result<Self, BadRate> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.calls_max, self.window.as_secs())
    }
}

fn parse(text: &str) -> Option<Rate> {
    let (calls, window) = text.split_once('/')?;
    let unit = window.chars().next_back()?;
    let count = number(window.strip_suffix(unit)?)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let calls_max = NonZeroU32::new(number(calls)?).filter(|it| it.get() <= CALLS_MAX)?;
    let window = Duration::from_secs(u64::from(count) * seconds);
    (Duration::from_secs(1)..=WINDOW_MAX).contains(&window).then_some(Rate { calls_max, window })
}

/// Digits alone: `u32::from_str` would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    //! What is a rate and what is none.

    use super::*;

    #[test]
    fn rates_read_as_they_are_written() {
        let rate: Rate = "100/60s".parse().expect("a rate");
        assert_eq!(rate, Rate::default());
        assert_eq!((rate.calls_max(), rate.window()), (100, Duration::from_secs(60)));
        assert_eq!("100/1m".parse::<Rate>().expect("a rate"), rate);
        assert_eq!("1000/1h".parse::<Rate>().expect("a rate").to_string(), "1000/3600s");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "/",
            "100",
            "100/",
            "/60s",
            "0/60s",
            "100/0s",
            "-1/60s",
            "+1/60s",
            "1/+1s",
            "100/60",
            "100/60d",
            "100 / 60s",
            "10001/60s",
            "1/3601s",
            "1/2h",
            "1/1é",
            "99999999999/1s",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }
}
