//! A client's connection to the gateway, by the program that `tests/vitess/sql` builds.

use std::process::Stdio;
use std::time::Duration;

use crate::processes::images::Images;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// It gives up by itself before.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A running client.
pub struct Sql {
    _child: Child,
    statements: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

#[derive(Deserialize)]
struct Answer {
    rows: Option<Vec<Vec<Option<String>>>>,
    #[serde(default)]
    error: String,
}

impl Sql {
    /// Starts one; it connects at its first statement.
    pub fn start(images: &Images, host: &str, database: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(images.tool("sql"))
            .args([host, "3306", "passenger", "aboard", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let statements = child.stdin.take().context("a pipe")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        Ok(Self { _child: child, statements, answers })
    }

    /// The rows that a statement gives, each of its values as text.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn ask(&mut self, statement: &str) -> anyhow::Result<Vec<Vec<String>>> {
        self.statements.write_all(format!("{statement}\n").as_bytes()).await?;
        let line = tokio::time::timeout(ANSWERS_WITHIN, self.answers.next_line()).await??;
        let answer: Answer = serde_json::from_str(&line.context("the client has ended")?)?;
        if !answer.error.is_empty() {
            bail!("{statement}: {}", answer.error);
        }
        let text = |row: Vec<Option<String>>| row.into_iter().map(Option::unwrap_or_default).collect();
        Ok(answer.rows.unwrap_or_default().into_iter().map(text).collect())
    }
}
