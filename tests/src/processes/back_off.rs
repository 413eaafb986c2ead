//! How long a container that ended stays down.

use std::time::Duration;

use tokio::time::Instant;

/// Of a kubelet that was told not to wait for long (its `crashLoopBackOff.maxContainerRestartPeriod`).
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// A kubelet's back-off for one container, as `client-go`'s `flowcontrol.Backoff` has it: at once the first time, then
/// later each time; forgotten where nothing came of it for twice as long as the longest wait.
#[derive(Default)]
pub(super) struct BackOff(Option<(Instant, Duration)>);

impl BackOff {
    /// How long the container that ended now waits until it is begun again.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let lately = self.0.filter(|(begun, _)| now.duration_since(*begun) <= 2 * LONGEST);
        let (wait, next) = match lately {
            None => (Duration::ZERO, FIRST),
            Some((_, wait)) => (wait, (2 * wait).min(LONGEST)),
        };
        self.0 = Some((now + wait, next));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_again_and_again_waits_longer_and_who_ran_well_does_not() {
        let mut back_off = BackOff::default();
        let mut now = Instant::now();
        let mut after = |ran: u64| {
            now += Duration::from_secs(ran);
            let wait = back_off.wait(now);
            now += wait;
            wait.as_secs()
        };
        assert_eq!([9, 0, 0, 0, 0, 0].map(&mut after), [0, 1, 2, 4, 8, 10]);
        assert_eq!([20, 21, 1].map(&mut after), [10, 0, 1]);
    }
}
