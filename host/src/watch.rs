//! One ordered stream of changes of every kind that the host watches.
//!
//! Owns the watches and their back-off. Must not know what the objects mean.

use std::time::Duration;

use futures::stream::{BoxStream, SelectAll, StreamExt};
use kube::Client;
use kube::api::Api;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};

use crate::kinds::{Kind, Read};

/// A change of one kind, or why its watch failed (it is tried again by itself).
pub type Change = (Kind, Result<Event<Read>, watcher::Error>);

/// Watches every kind that can be, in `namespace` or everywhere.
pub fn all(client: &Client, namespace: Option<&str>) -> SelectAll<BoxStream<'static, Change>> {
    Kind::ALL.into_iter().filter(|kind| kind.is_watched()).map(|kind| of(client, namespace, kind)).collect()
}

fn of(client: &Client, namespace: Option<&str>, kind: Kind) -> BoxStream<'static, Change> {
    let api: Api<Read> = match namespace {
        Some(namespace) if kind.is_namespaced() => {
            Api::namespaced_with(client.clone(), namespace, &kind.resource())
        }
        Some(_) | None => Api::all_with(client.clone(), &kind.resource()),
    };
    let mut config = watcher::Config::default().timeout(294);
    config.label_selector = kind.selector().map(str::to_owned);
    watch(api, config).backoff(Doubling::default()).map(move |event| (kind, event)).boxed()
}

/// Waits 0.5 s, 1 s, 2 s … 30 s between tries. Without jitter: the same world
/// gives the same trace, and one host has one watch a kind.
#[derive(Debug, Default)]
struct Doubling(u32);

impl Iterator for Doubling {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_millis(500 << self.0.min(6));
        self.0 += 1;
        Some(wait.min(Duration::from_secs(30)))
    }
}

impl Backoff for Doubling {
    fn reset(&mut self) {
        self.0 = 0;
    }
}
