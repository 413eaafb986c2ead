//! Proves the pass: the order of its stages, the memory of an empty plan, and
//! what the report says of it. The seams are small implementations of the traits.

mod fixture;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use fixture::{typed, world};
use pilothouse_core::Millis;
use pilothouse_core::action::{Action, Change, ObjectRef};
use pilothouse_core::guard::{RULES, Why};
use pilothouse_core::pass::{
    self, AFTER_WORK_MS, Actuate, LONGEST_REST_MS, Observe, Passed, Propose, Revision, Settled,
};
use pilothouse_core::plan::{Author, Diagnostic, Outcome, Proposal, Reason, Refusal, Severity, Slot, Step};
use pilothouse_core::report::{self, Kind, Status};
use pilothouse_core::view::ClusterView;

/// A host whose stages are played from lists, and that notes each call.
struct Host {
    view: ClusterView,
    revision: Revision,
    proposals: Vec<Proposal>,
    own: Vec<Step>,
    vetoes: Vec<&'static str>,
    outcomes: VecDeque<Outcome>,
    calls: Vec<String>,
}

impl Observe for Host {
    type Error = Infallible;
    fn revision(&self) -> Revision {
        self.revision
    }
    async fn observe(&mut self, as_of: Millis) -> Result<Arc<ClusterView>, Infallible> {
        self.calls.push("observe".to_owned());
        Ok(Arc::new(ClusterView { as_of, ..self.view.clone() }))
    }
}

impl Propose for Host {
    fn propose(&mut self, _: &Arc<ClusterView>) -> Vec<Proposal> {
        self.calls.push("propose".to_owned());
        self.proposals.clone()
    }
    fn own(&mut self, _: &ClusterView, _: &[Proposal]) -> Vec<Step> {
        self.calls.push("own".to_owned());
        self.own.clone()
    }
    fn review(&mut self, _: &Arc<ClusterView>, steps: &[Step]) -> Vec<Refusal> {
        self.calls.push(format!("review {}", steps.len()));
        let why = Why::Vetoed { code: "NotOnFridays".to_owned(), message: "not on Fridays".to_owned() };
        let vetoed = steps.iter().filter(|s| self.vetoes.contains(&s.action.verb()));
        vetoed
            .map(|s| Refusal { step: s.clone(), rule: "rule/fridays".to_owned(), why: why.clone() })
            .collect()
    }
}

impl Actuate for Host {
    async fn actuate(&mut self, _: &ClusterView, step: &Step) -> Outcome {
        self.calls.push(format!("actuate {}", step.action.verb()));
        self.outcomes.pop_front().unwrap_or(Outcome::Done)
    }
}

const NOW: Millis = 100_000_000;

fn host() -> Host {
    Host {
        view: typed(&world("three-zones", None)),
        revision: Revision::default(),
        proposals: Vec::new(),
        own: Vec::new(),
        vetoes: Vec::new(),
        outcomes: VecDeque::new(),
        calls: Vec::new(),
    }
}

fn policy() -> Author {
    Author::Policy { slot: Slot::Failover, plugin: "p".to_owned(), digest: "d".to_owned() }
}

fn step(action: Action, author: Author) -> Step {
    let reason = Reason { code: "test".to_owned(), message: "a test".to_owned() };
    Step { action, author, reason, expect: Vec::new(), expires: NOW + 60_000 }
}

fn reparent(to: &str) -> Step {
    let alias = |text: &str| text.parse().expect("an alias");
    let shard = "shop/-".parse().expect("a shard");
    step(Action::PlannedReparent { shard, from: alias("a-1"), to: alias(to) }, policy())
}

fn apply() -> Step {
    let object =
        ObjectRef { kind: "Service".to_owned(), namespace: "shop-ns".to_owned(), name: "x".to_owned() };
    step(Action::Apply { object, change: Change::Update }, Author::Host)
}

fn proposal(steps: Vec<Step>, requeue_after_ms: Option<Millis>) -> Proposal {
    Proposal { author: policy(), steps, diagnostics: Vec::new(), requeue_after_ms }
}

fn run(host: &mut Host, settled: &mut Settled, as_of: Millis) -> Passed {
    let mut future = pin!(pass::run(host, settled, RULES, as_of));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(passed)) => passed,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn ran(passed: Passed) -> pass::Report {
    match passed {
        Passed::Ran(report) => *report,
        Passed::Unchanged { .. } => panic!("the stages did not run"),
    }
}

#[test]
fn stages_run_in_order_and_only_admitted_steps_act() {
    let mut host = host();
    host.proposals = vec![proposal(vec![reparent("b-2"), reparent("c-3"), reparent("x-9")], None)];
    host.own = vec![apply()];
    let report = ran(run(&mut host, &mut Settled::default(), NOW));
    let calls = ["observe", "propose", "own", "review 4", "actuate planned-reparent", "actuate apply"];
    assert_eq!(host.calls, calls);
    let refused: Vec<&str> = report.refusals.iter().map(|r| r.why.code()).collect();
    assert_eq!(refused, ["Contradicts", "NotOurs"]);
    assert_eq!(report.requeue_after_ms, AFTER_WORK_MS);
}

#[test]
fn what_a_rule_plugin_vetoes_is_not_done_but_told() {
    let mut host = host();
    host.proposals = vec![proposal(vec![reparent("b-2")], None)];
    host.own = vec![apply()];
    host.vetoes = vec!["planned-reparent"];
    let report = ran(run(&mut host, &mut Settled::default(), NOW));
    assert_eq!(host.calls.last().map(String::as_str), Some("actuate apply"));
    assert_eq!(report.refusals.len(), 1);
    assert_eq!(report.refusals[0].rule, "rule/fridays");
}

#[test]
fn an_unchanged_view_asks_nobody_until_its_time_is_up() {
    let mut host = host();
    host.proposals = vec![proposal(Vec::new(), Some(30_000)), proposal(Vec::new(), Some(50_000))];
    let mut settled = Settled::default();
    assert_eq!(ran(run(&mut host, &mut settled, NOW)).requeue_after_ms, 30_000);
    host.calls.clear();
    assert_eq!(run(&mut host, &mut settled, NOW + 10_000), Passed::Unchanged { requeue_after_ms: 20_000 });
    assert_eq!(host.calls, [""; 0], "nothing new was seen: not even a view is made");
    ran(run(&mut host, &mut settled, NOW + 30_000));
    host.view.tablets[1].ready = false;
    host.revision.objects = 1;
    ran(run(&mut host, &mut settled, NOW + 31_000));
    assert_eq!(host.calls.iter().filter(|c| *c == "propose").count(), 2);
}

/// Who asks for a time, and is asked before, cannot ask for one as near any more.
#[test]
fn a_time_that_was_asked_for_stands_though_something_happens_before() {
    let mut host = host();
    let mut settled = Settled::default();
    host.proposals = vec![proposal(Vec::new(), Some(5_000))];
    ran(run(&mut host, &mut settled, NOW));
    host.proposals = vec![proposal(Vec::new(), Some(1_000))];
    settled.unsettle();
    assert_eq!(ran(run(&mut host, &mut settled, NOW + 4_900)).requeue_after_ms, 100);
    assert_eq!(ran(run(&mut host, &mut settled, NOW + 5_000)).requeue_after_ms, 1_000, "it has come");
    host.proposals.clear();
    assert_eq!(ran(run(&mut host, &mut settled, NOW + 6_000)).requeue_after_ms, LONGEST_REST_MS);
}

/// Something was written, but no decision rests on it.
#[test]
fn new_surroundings_with_the_same_view_ask_nobody() {
    let mut host = host();
    let mut settled = Settled::default();
    ran(run(&mut host, &mut settled, NOW));
    host.calls.clear();
    for surroundings in
        [Revision { shared: 1, ..Revision::default() }, Revision { vitess: 1, ..host.revision }]
    {
        host.revision = surroundings;
        for _ in 0..2 {
            assert!(matches!(run(&mut host, &mut settled, NOW + 1), Passed::Unchanged { .. }));
        }
    }
    assert_eq!(host.calls, ["observe", "observe"], "each was looked at once");
}

/// A view does not show a spec that cannot be used, nor an object that differs from what is rendered.
#[test]
fn the_clusters_own_objects_are_looked_at_even_when_the_view_is_the_same() {
    let mut host = host();
    let mut settled = Settled::default();
    ran(run(&mut host, &mut settled, NOW));
    host.revision.objects = 1;
    host.own = vec![apply()];
    assert_eq!(ran(run(&mut host, &mut settled, NOW + 1)).outcomes.len(), 1);
}

#[test]
fn after_work_nothing_is_taken_as_settled() {
    let mut host = host();
    host.own = vec![apply()];
    let mut settled = Settled::default();
    ran(run(&mut host, &mut settled, NOW));
    ran(run(&mut host, &mut settled, NOW));
    host.own.clear();
    let rest = ran(run(&mut host, &mut settled, NOW)).requeue_after_ms;
    assert_eq!(rest, LONGEST_REST_MS);
    assert!(matches!(run(&mut host, &mut settled, NOW), Passed::Unchanged { .. }));
}

/// What was refused for want of time is looked at again soon, with the same view.
#[test]
fn a_refusal_does_not_rest_long() {
    let mut host = host();
    host.view.shards[0].primary_since = NOW - 55_000;
    host.proposals = vec![proposal(vec![reparent("b-2")], None)];
    let mut settled = Settled::default();
    let report = ran(run(&mut host, &mut settled, NOW));
    assert_eq!(report.refusals[0].why.code(), "TooSoon");
    assert_eq!(report.requeue_after_ms, AFTER_WORK_MS);
    assert!(matches!(run(&mut host, &mut settled, NOW + 9_999), Passed::Unchanged { requeue_after_ms: 1 }));
    let report = ran(run(&mut host, &mut settled, NOW + 10_000));
    assert_eq!(report.outcomes.len(), 1);
}

fn told(report: &pass::Report, kind: Kind) -> (Status, String, String) {
    let all = report::conditions(report);
    assert!(all.windows(2).all(|w| w[0].kind < w[1].kind), "sorted, one of each kind");
    let one = all.into_iter().find(|c| c.kind == kind).expect("every kind is there");
    (one.status, one.reason, one.message)
}

#[test]
fn conditions_of_a_quiet_pass() {
    let report = ran(run(&mut host(), &mut Settled::default(), NOW));
    let said: Vec<String> = report::conditions(&report)
        .iter()
        .map(|c| format!("{}={} {}", c.kind.as_str(), c.status.as_str(), c.reason))
        .collect();
    assert_eq!(
        said,
        [
            "Actuated=True AllDone",
            "PolicyHealthy=True PoliciesAnswered",
            "Ready=True AllServe",
            "Refused=False NothingRefused",
            "VitessObserved=True Observed",
            "ZonesHealthy=True AllHealthy",
        ]
    );
}

#[test]
fn conditions_of_a_bad_pass() {
    let mut host = host();
    host.view = typed(&world("primary-lost", None));
    let steps = ["x-6", "x-7", "x-8", "x-9"].map(reparent).to_vec();
    let diagnostic = Diagnostic {
        severity: Severity::Error,
        code: "FewerThanThreeZones".to_owned(),
        message: "two zones are not enough".to_owned(),
        subject: String::new(),
    };
    host.proposals = vec![Proposal { diagnostics: vec![diagnostic], ..proposal(steps, None) }];
    host.own = vec![apply()];
    host.outcomes = [Outcome::Failed { code: "Conflict".to_owned(), message: "409".to_owned() }].into();
    let report = ran(run(&mut host, &mut Settled::default(), NOW));
    let reason = |kind| {
        let (status, reason, _) = told(&report, kind);
        format!("{} {reason}", status.as_str())
    };
    assert_eq!(reason(Kind::Actuated), "False Conflict");
    assert_eq!(reason(Kind::PolicyHealthy), "False FewerThanThreeZones");
    assert_eq!(reason(Kind::Ready), "False TabletsDown");
    assert_eq!(reason(Kind::Refused), "True NotOurs");
    assert_eq!(reason(Kind::ZonesHealthy), "False ZoneSuspect");
    let (_, _, message) = told(&report, Kind::Refused);
    assert!(message.ends_with("; and 1 more"), "{message}");
}

#[test]
fn conditions_while_vitess_is_unknown_or_headless() {
    let mut host = host();
    host.view.vitess = pilothouse_core::view::VitessSource::Unknown;
    let report = ran(run(&mut host, &mut Settled::default(), NOW));
    assert_eq!(told(&report, Kind::Ready).1, "VitessUnknown");
    assert_eq!(told(&report, Kind::VitessObserved).0, Status::Unknown);

    host.view.vitess = pilothouse_core::view::VitessSource::Played;
    host.view.shards[0].primary = None;
    let report = ran(run(&mut host, &mut Settled::default(), NOW));
    assert_eq!(told(&report, Kind::Ready).1, "NoPrimary");
    assert_eq!(told(&report, Kind::VitessObserved).1, "Played");
}
