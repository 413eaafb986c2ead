//! A sequence played to both servers, and the shortest one that still differs.

use std::time::Duration;

use futures::future::try_join_all;
use kube::Client;

use crate::compare::differences;
use crate::forget::Names;
use crate::script::Request;
use crate::server::{Answer, Server};

/// Shorter sequences that are tried; one with a watch takes a second.
const TRIES: usize = 60;

/// A list that may be older than the newest comes from a cache, which the real server fills a moment later.
const LOOKS: usize = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The two servers.
#[derive(Clone)]
pub(super) struct Both {
    pub(super) played: Client,
    pub(super) real: Client,
}

/// What a sequence came to.
pub(super) struct Outcome {
    /// Each request with what both answered to it: the code, or `None` when the played one does not support it.
    pub(super) answered: Vec<(String, Option<u16>)>,
    /// The first request that was not answered alike, and how.
    pub(super) difference: Option<Difference>,
}

/// A request that was not answered alike.
#[derive(Debug, Clone)]
pub(super) struct Difference {
    pub(super) id: usize,
    pub(super) sort: String,
    pub(super) lines: Vec<String>,
}

/// A pair of namespaces while a sequence is played.
pub(super) struct Playing {
    played: Server,
    real: Server,
    names: [Names; 2],
}

impl Both {
    /// A fresh namespace on both.
    pub(super) async fn begin(&self, namespace: &str) -> anyhow::Result<Playing> {
        Ok(Playing {
            played: Server::new(self.played.clone(), namespace).await?,
            real: Server::new(self.real.clone(), namespace).await?,
            names: Default::default(),
        })
    }

    /// Plays a sequence in a fresh namespace, to the first difference.
    pub(super) async fn play(&self, namespace: &str, sequence: &[Request]) -> anyhow::Result<Outcome> {
        self.begin(namespace).await?.play(sequence).await
    }

    /// Drops what the difference does not need; plays what is left to see whether it is still the same.
    pub(super) async fn shrink(
        &self,
        namespace: &str,
        sequence: &[Request],
        difference: &Difference,
    ) -> anyhow::Result<(Vec<Request>, Option<Difference>)> {
        let end = sequence.iter().position(|r| r.id == difference.id).unwrap_or(sequence.len() - 1);
        let mut kept: Vec<Request> = sequence[..=end].to_vec();
        // Watches are independent of each other.
        kept.retain(|r| r.method != "WATCH" || r.id == difference.id);
        let mut tries = 0;
        let mut last = self.play(&format!("{namespace}-again"), &kept).await?.difference;
        if last.is_none() {
            return Ok((kept, None));
        }
        let mut chunk = kept.len();
        while chunk > 0 {
            let mut at = kept.len().saturating_sub(1);
            while at > 0 && tries < TRIES {
                let from = at.saturating_sub(chunk);
                let mut shorter = kept.clone();
                shorter.drain(from..at);
                tries += 1;
                let outcome = self.play(&format!("{namespace}-{tries}"), &shorter).await?;
                if let Some(found) = outcome.difference.filter(|found| found.is_like(difference)) {
                    kept = shorter;
                    last = Some(found);
                }
                at = from;
            }
            chunk /= 2;
        }
        Ok((kept, last))
    }
}

impl Playing {
    /// The same namespaces where the real server was started anew.
    pub(super) fn served_by(&mut self, real: &Client) {
        self.real.reach_by(real);
    }

    /// Plays requests, to the first difference.
    pub(super) async fn play(&mut self, sequence: &[Request]) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome { answered: Vec::new(), difference: None };
        let first_watch = sequence.iter().position(|r| r.method == "WATCH").unwrap_or(sequence.len());
        let (one_by_one, at_once) = sequence.split_at(first_watch);
        for request in one_by_one {
            let played = self.played.send(request).await?;
            let mut real = if played.code == 501 { played.clone() } else { self.real.send(request).await? };
            for _ in 0..LOOKS {
                if !request.may_be_late() || self.agree(&played, &real) {
                    break;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
                real = self.real.send(request).await?;
            }
            if self.differ(&mut outcome, request, &played, &real) {
                return Ok(outcome);
            }
        }
        let played = try_join_all(at_once.iter().map(|r| self.played.send(r)));
        let real = try_join_all(at_once.iter().map(|r| self.real.send(r)));
        let (played, real) = futures::try_join!(played, real)?;
        for ((request, played), real) in at_once.iter().zip(&played).zip(&real) {
            if self.differ(&mut outcome, request, played, real) {
                break;
            }
        }
        Ok(outcome)
    }

    fn agree(&self, played: &Answer, real: &Answer) -> bool {
        let [mut of_played, mut of_real] = self.names.clone();
        differences(&of_played.forget(played), &of_real.forget(real)).is_empty()
    }

    /// Notes both answers; whether they differ.
    fn differ(&mut self, outcome: &mut Outcome, request: &Request, played: &Answer, real: &Answer) -> bool {
        if played.code == 501 {
            outcome.answered.push((request.sort(), None));
            return false;
        }
        outcome.answered.push((request.sort(), Some(real.told())));
        let [of_played, of_real] = &mut self.names;
        let lines = differences(&of_played.forget(played), &of_real.forget(real));
        self.played.remember(request, played);
        self.real.remember(request, real);
        if lines.is_empty() {
            return false;
        }
        outcome.difference = Some(Difference { id: request.id, sort: request.sort(), lines });
        true
    }
}

impl Difference {
    /// Whether the code differs, or what is said.
    fn kind(&self) -> bool {
        self.lines[0].starts_with("/code")
    }

    /// Whether the same request differs in the same way.
    fn is_like(&self, other: &Self) -> bool {
        self.id == other.id && self.kind() == other.kind()
    }

    /// The kind of request and the places that differ: alike for the same mistake, mostly.
    pub(super) fn signature(&self) -> String {
        let place = |line: &String| line.split(": ").next().unwrap_or_default().to_owned();
        let places: Vec<String> = self.lines.iter().map(place).collect();
        format!("{} {}", self.sort, places.join(" "))
    }
}
