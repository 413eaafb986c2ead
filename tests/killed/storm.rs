//! Two namespaces that are asked for the same: one in the calm, one in a storm.
//!
//! Owns when the process is killed, and what must hold afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pilothouse::simulate::Draws;
use pilothouse_tests::cluster::Cluster;
use pilothouse_tests::cluster::whole::{ever, until};
use pilothouse_tests::predecessor;
use pilothouse_tests::standing::tree_differences;
use serde_json::Value;
use tokio::time::Instant;

use crate::namespace::Namespace;

/// What takes longer than this never comes.
const WITHIN: Duration = Duration::from_secs(60);
/// Nothing announces that nobody will write: it is looked at after this long.
const QUIET: Duration = Duration::from_secs(2);
/// The log is read on so often while a moment is waited for.
const TICK: Duration = Duration::from_millis(5);
/// Of a difference, no more is shown.
const LINE: usize = 200;
/// So often is the process killed over each manifest, if there is still something to do.
const KILLS: u64 = 8;

pub(crate) struct Storm {
    calm: Namespace,
    rough: Namespace,
    draws: Draws,
    kills: u64,
}

impl Storm {
    pub(crate) async fn over(cluster: &Cluster, case: &str, seed: u64) -> anyhow::Result<Self> {
        let calm = Namespace::new(cluster, format!("{case}-calm")).await?;
        let rough = Namespace::new(cluster, format!("{case}-rough")).await?;
        Ok(Self { calm, rough, draws: Draws::new(seed, case), kills: 0 })
    }

    /// All of a case, and what must hold at its end.
    pub(crate) async fn rages(mut self, before: &[Value], manifests: &[Vec<Value>]) -> anyhow::Result<()> {
        let began = Instant::now();
        for namespace in [&self.calm, &self.rough] {
            namespace.lay(before).await?;
        }
        let laid = self.rough.tree().await?;
        self.calm.begin()?;
        if !before.is_empty() {
            self.passes().await?;
        }
        for manifest in manifests {
            for namespace in [&self.calm, &self.rough] {
                namespace.apply(manifest).await?;
            }
            self.passes().await?;
        }
        self.is_at_rest().await?;
        let after = self.rough.tree().await?;
        for (key, old) in laid {
            let uid = |object: &Value| object["metadata"]["uid"].clone();
            let stays = after.get(&key).is_some_and(|new| uid(new) == uid(&old));
            ensure!(stays, "{key:?} stood there, and does no more");
        }
        ensure!(predecessor::held(&after).is_empty(), "{:?}", predecessor::held(&after));
        let asked = &self.rough.asked;
        let deletes: Vec<&String> = asked.writes.iter().filter(|w| w.starts_with("delete")).collect();
        ensure!(deletes.is_empty(), "{deletes:#?}");
        let mut made: BTreeMap<&String, usize> = BTreeMap::new();
        asked.made.iter().for_each(|object| *made.entry(object).or_default() += 1);
        made.retain(|_, times| *times > 1);
        ensure!(made.is_empty(), "made more than once: {made:?}");
        println!(
            "{}: {} objects, {} writes and {} in the calm, killed {} times ({} s)",
            self.rough.name,
            after.len(),
            asked.writes.len(),
            self.calm.asked.writes.len(),
            self.kills,
            began.elapsed().as_secs()
        );
        Ok(())
    }

    /// Kills and starts until there is nothing left to do; then what stands must be what stands in the calm.
    async fn passes(&mut self) -> anyhow::Result<()> {
        let writes = self.calm.writes().await?;
        let before = self.kills;
        for _ in 0..KILLS {
            self.rough.begin()?;
            // From the first question on: earlier, there is nothing to be in the middle of.
            let after = self.draws.range(0, writes / KILLS);
            let pause = Duration::from_millis(self.draws.range(0, 10));
            let is_busy = self.rough.writes_more(after).await?;
            tokio::time::sleep(pause).await;
            self.rough.kill()?;
            self.kills += 1;
            if !is_busy {
                break;
            }
        }
        ensure!(self.kills - before >= KILLS / 2, "it was killed {} times only", self.kills - before);
        self.rough.begin()?;
        let (calm, rough) = (&self.calm, &self.rough);
        let mut differs = Vec::new();
        let alike = ever(WITHIN, async || {
            differs = tree_differences(&calm.outcome().await?, &rough.outcome().await?);
            Ok(differs.is_empty().then_some(()))
        });
        if alike.await?.is_none() {
            let part = |line: &String| line.chars().take(LINE).collect::<String>();
            let differs: Vec<String> = differs.iter().map(part).collect();
            anyhow::bail!("in the calm, then in the storm:\n{}\n{}", differs.join("\n"), self.rough.log());
        }
        self.rough.is_quiet().await?;
        self.rough.kill()
    }

    /// A process that knows nothing of the past reads all, and writes nothing.
    async fn is_at_rest(&mut self) -> anyhow::Result<()> {
        let before = self.rough.asked.writes.len();
        self.rough.begin()?;
        until(WITHIN, "a pass", async || Ok(self.rough.has_passed().then_some(()))).await?;
        self.rough.is_quiet().await?;
        let written = &self.rough.asked.writes[before..];
        ensure!(written.is_empty(), "written at rest: {written:?}");
        Ok(())
    }
}

impl Namespace {
    /// Waits until the process writes, and then until it is done; answers how often it wrote.
    async fn writes(&mut self) -> anyhow::Result<u64> {
        let before = self.asked.writes.len();
        until(WITHIN, "something is written", async || {
            self.read_on()?;
            Ok((self.asked.writes.len() > before).then_some(()))
        })
        .await?;
        self.is_quiet().await?;
        Ok(u64::try_from(self.asked.writes.len() - before)?)
    }

    /// Waits until nothing is written for [`QUIET`].
    async fn is_quiet(&mut self) -> anyhow::Result<()> {
        until(WITHIN, "nothing is written", async || {
            self.read_on()?;
            let before = self.asked.writes.len();
            tokio::time::sleep(QUIET).await;
            self.read_on()?;
            Ok((self.asked.writes.len() == before).then_some(()))
        })
        .await
    }

    /// Waits until the process has written so much more; false when it stops before.
    async fn writes_more(&mut self, more: u64) -> anyhow::Result<bool> {
        self.asks().await?;
        let goal = self.asked.writes.len() + usize::try_from(more)?;
        let mut last = (self.asked.writes.len(), Instant::now());
        while self.asked.writes.len() < goal && last.1.elapsed() < QUIET {
            tokio::time::sleep(TICK).await;
            self.read_on()?;
            if self.asked.writes.len() > last.0 {
                last = (self.asked.writes.len(), Instant::now());
            }
        }
        Ok(self.asked.writes.len() >= goal)
    }

    /// Waits until the process that was just begun has read something.
    async fn asks(&mut self) -> anyhow::Result<()> {
        let before = self.asked.lists;
        let asked = async {
            while self.asked.lists == before {
                tokio::time::sleep(TICK).await;
                self.read_on()?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(WITHIN, asked).await.context("the process asks for nothing")?
    }
}
