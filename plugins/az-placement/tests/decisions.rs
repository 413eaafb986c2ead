//! Every decision of the placement policy that its case files tell: view in, text out.

use az_placement::AzPlacement;
use pilothouse_sdk::testkit::case;

#[test]
fn zones_for_cells() {
    case::run::<AzPlacement>("tests/zones.yaml");
}

#[test]
fn a_lost_zone() {
    case::run::<AzPlacement>("tests/lost.yaml");
}

#[test]
fn home_again() {
    case::run::<AzPlacement>("tests/home.yaml");
}

#[test]
fn odd_shapes() {
    case::run::<AzPlacement>("tests/odd.yaml");
}
