//! Every span and limit that a fleet is played with, and where it is from.

use pilothouse::vitess::settings::VitessSettings;
use pilothouse_core::Millis;
use pilothouse_sim::world::timing;

/// Spans of a cluster, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A tablet is probed this often.
    pub poll: Millis,
    /// A probe that nobody answers is over after this.
    pub probe: Millis,
    /// A replica notices that the way to its source is gone.
    pub source_timeout: Millis,
    /// Its source sends a heartbeat when it has had nothing else to send for so long.
    pub heartbeat: Millis,
    /// A replica that is given a source, or has the way again, is connected.
    pub source_connect: Millis,
    /// An emergency reparent, from its call to its answer.
    pub reparent: (Millis, Millis),
    /// It takes so much longer where a replica that it waits for has given its source up.
    pub reparent_given_up: Millis,
    /// A node that says nothing is Unknown.
    pub node_grace: (Millis, Millis),
    /// The way to vtctld, which leads to one of three in as many zones; `None`: it is always open.
    pub vtctld: Option<Calls>,
}

/// How a call of vtctld goes whose connection leads to a zone that the host does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// So long after the zone's loss others still wait on that connection; then each makes one of its own.
    pub shared: Millis,
    /// A new connection is one to a zone that is not reached in so many of a hundred cases.
    pub astray_percent: u64,
    /// Making one takes at most this.
    pub connect: Millis,
    /// A call that nobody hears is over after this. One that lists brings a connection for all then.
    pub call: Millis,
}

const fn unsigned(span: i64) -> Millis {
    span.unsigned_abs()
}

impl Timing {
    /// As the host asks Vitess. `replica_net_timeout` is 8 s in Vitess's own my.cnf. Reparents in a silent zone took
    /// 200 to 400 ms on Vitess 24 with real mysqlds (it waits for all tablets but one), and 2 s more to stop
    /// receivers that are connecting anew.
    #[must_use]
    pub fn real() -> Self {
        let asked = VitessSettings::default();
        let vtctld = Calls {
            shared: asked.poll_ms + asked.connect_ms,
            astray_percent: 33,
            connect: asked.connect_ms,
            call: asked.call_ms,
        };
        let (poll, probe) = (asked.poll_ms, asked.probe_ms);
        let (reparent, reparent_given_up) = ((200, 400), 2_000);
        Self { poll, probe, reparent, reparent_given_up, vtctld: Some(vtctld), ..Self::played() }
    }

    /// As the simulator plays Vitess: what nobody answers for a whole period is told, and a reparent waits for
    /// whoever does not answer.
    #[must_use]
    pub fn played() -> Self {
        let wait = unsigned(timing::EMERGENCY_UNREACHABLE);
        let (least, most) = timing::EMERGENCY_REPARENT;
        let grace = unsigned(timing::NODE_MONITOR_GRACE);
        Self {
            poll: 1,
            probe: unsigned(timing::PROBE_PERIOD),
            source_timeout: unsigned(timing::SOURCE_TIMEOUT),
            heartbeat: unsigned(timing::SOURCE_TIMEOUT) / 2,
            source_connect: unsigned(timing::SOURCE_CONNECT),
            reparent: (wait + unsigned(least), wait + unsigned(most)),
            reparent_given_up: 0,
            node_grace: (grace - unsigned(timing::LEASE_RENEWAL), grace),
            vtctld: None,
        }
    }
}

/// What the host and its API server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a second that the API server takes from the host; more wait in a line.
    pub requests_per_second: u64,
    /// Requests that it takes at once.
    pub burst: u64,
    /// The way to it and back, in milliseconds.
    pub request: Millis,
    /// Processor time of a pass whose stages run, in microseconds. All passes share one thread.
    pub pass_us: u64,
    /// Processor time for what a packed cluster's objects cost before its pass, in microseconds.
    pub open_us: u64,
    /// The same for a guest of the room, whose objects are opened and nothing is rendered.
    pub open_guest_us: u64,
    /// Whether who lost its primary comes in as a guest of the room; without, as all others do.
    pub guests: bool,
}

impl Default for Limits {
    /// Passes as `cargo bench` measures them at rest (93 us); nothing is opened at the seam of views.
    fn default() -> Self {
        Self {
            requests_per_second: 1_000,
            burst: 1_000,
            request: 5,
            pass_us: 100,
            open_us: 0,
            open_guest_us: 0,
            guests: true,
        }
    }
}
