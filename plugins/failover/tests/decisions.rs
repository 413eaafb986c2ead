//! Every decision of the failover policy that its case files tell: view in, text out.

use failover::Failover;
use pilothouse_sdk::testkit::case;

#[test]
fn a_silent_primary() {
    case::run::<Failover>("tests/emergency.yaml");
}

#[test]
fn a_leaving_primary() {
    case::run::<Failover>("tests/planned.yaml");
}

#[test]
fn a_first_primary() {
    case::run::<Failover>("tests/first.yaml");
}

#[test]
fn odd_shapes() {
    case::run::<Failover>("tests/odd.yaml");
}
