//! What people choose by annotation: it goes down the tree, and a word that is no choice changes nothing.

use std::collections::BTreeSet;

use pilothouse_api::choices::{Choice, ClaimRetention, DisruptionBudgets};
use pilothouse_api::labels;

use super::tree::{Tree, manifest, tree};

fn chosen<C: Choice>(word: &str) -> Tree {
    let mut cluster = manifest();
    cluster.metadata.annotations.get_or_insert_default().insert(C::KEY.to_owned(), word.to_owned());
    tree(&cluster)
}

/// Components of the claims that have an owner.
fn owned_claims(tree: &Tree) -> BTreeSet<&str> {
    let claims = tree.iter().filter(|((kind, _), _)| kind == "PersistentVolumeClaim");
    let owned = claims.filter(|(_, value)| value.pointer("/metadata/ownerReferences/0").is_some());
    owned.filter_map(|(_, value)| value["metadata"]["labels"][labels::COMPONENT].as_str()).collect()
}

/// Components of the disruption budgets; etcd's has none, and its own setting.
fn budgets(tree: &Tree) -> BTreeSet<Option<&str>> {
    let budgets = tree.iter().filter(|((kind, _), _)| kind == "PodDisruptionBudget");
    budgets.map(|(_, value)| value["metadata"]["labels"][labels::COMPONENT].as_str()).collect()
}

#[test]
fn claims_of_data_have_an_owner_only_where_people_say_so() {
    let scratch = BTreeSet::from(["vtbackup"]);
    assert_eq!(owned_claims(&tree(&manifest())), scratch);
    assert_eq!(owned_claims(&chosen::<ClaimRetention>("Retain")), scratch);
    assert_eq!(owned_claims(&chosen::<ClaimRetention>("delete")), scratch);
    let all = BTreeSet::from(["etcd", "vtbackup", "vttablet"]);
    assert_eq!(owned_claims(&chosen::<ClaimRetention>("Delete")), all);
}

#[test]
fn budgets_are_made_unless_people_have_their_own() {
    let all = BTreeSet::from([None, Some("vtgate"), Some("vttablet")]);
    assert_eq!(budgets(&tree(&manifest())), all);
    assert_eq!(budgets(&chosen::<DisruptionBudgets>("Create")), all);
    assert_eq!(budgets(&chosen::<DisruptionBudgets>("omit")), all);
    assert_eq!(budgets(&chosen::<DisruptionBudgets>("Omit")), BTreeSet::from([None]));
}
