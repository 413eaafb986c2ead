//! Watches that are dropped, stall, or tell late, merged and twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use http_body_util::BodyExt as _;
use pilothouse_sim::apiserver::ApiBody;
use serde_json::Value;
use tower::BoxError;

use super::bell::Ear;
use super::sky::{Lost, Mood, Sky};

/// Late by at most so many milliseconds.
const LATEST_MS: u64 = 8_000;

struct Open {
    body: ApiBody,
    sky: Arc<Sky>,
    resource: String,
    news: Ear,
    opened: u64,
    over: bool,
}

/// The lines of a watch of that kind, as the sky lets them through.
pub(super) fn lines(
    body: ApiBody,
    sky: Arc<Sky>,
    resource: String,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    let news = sky.news();
    let opened = news.heard();
    let open = Open { body, sky, resource, news, opened, over: false };
    stream::unfold(open, |mut open| async move { open.next().await.map(|lines| (lines, open)) }).fuse()
}

impl Open {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        while !self.over {
            match self.sky.mood(&self.resource, self.opened) {
                Mood::Dropped(how) => {
                    self.over = true;
                    let broken = || Err("the watch broke".into());
                    return (how == Lost::Broken).then(broken);
                }
                Mood::Stalled(until) => tokio::select! {
                    biased;
                    () = self.news.ring() => {}
                    () = tokio::time::sleep_until(until) => {}
                },
                Mood::Open => tokio::select! {
                    biased;
                    () = self.news.ring() => {}
                    frame = self.body.frame() => match told(frame) {
                        Some(lines) => return Some(Ok(lines)),
                        None => self.over = true,
                    },
                },
                Mood::Jumbled => tokio::select! {
                    biased;
                    () = self.news.ring() => {}
                    frame = self.body.frame() => match told(frame) {
                        Some(first) => return Some(Ok(self.jumble(first).await)),
                        None => self.over = true,
                    },
                },
            }
        }
        None
    }

    /// Holds events back, takes those that come meanwhile, merges some and repeats some.
    async fn jumble(&mut self, first: Bytes) -> Bytes {
        let late = self.sky.draw(1, LATEST_MS);
        tokio::time::sleep(Duration::from_millis(late)).await;
        let mut text = first.to_vec();
        while !self.over
            && let Some(frame) = self.body.frame().now_or_never()
        {
            match told(frame) {
                Some(more) => text.extend_from_slice(&more),
                None => self.over = true,
            }
        }
        let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
        let mut out = Vec::with_capacity(text.len());
        for line in merged(&lines) {
            let times = if self.sky.draw(0, 9) == 0 { 2 } else { 1 };
            for _ in 0..times {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        }
        Bytes::from(out)
    }
}

type Framed = Option<Result<hyper::body::Frame<Bytes>, std::convert::Infallible>>;

fn told(frame: Framed) -> Option<Bytes> {
    frame?.ok()?.into_data().ok()
}

/// Without the changes that a later change of the same object overtakes. The last line of
/// an object stays, so that resourceVersions still rise.
fn merged<'a>(lines: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    let read = |line: &[u8]| {
        let event: Value = serde_json::from_slice(line).unwrap_or_default();
        let uid = event["object"]["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        (event["type"] == "MODIFIED" && !uid.is_empty()).then_some(uid)
    };
    let uids: Vec<Option<String>> = lines.iter().map(|line| read(line)).collect();
    for (i, uid) in uids.iter().enumerate() {
        if let Some(uid) = uid {
            last.insert(uid.clone(), i);
        }
    }
    let stays = |i: usize| uids[i].as_ref().is_none_or(|uid| last[uid] == i);
    lines.iter().enumerate().filter(|(i, _)| stays(*i)).map(|(_, line)| *line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_change_of_an_object_is_told() {
        let line = |what: &str, uid: &str, rv: u64| {
            format!(
                r#"{{"type":"{what}","object":{{"metadata":{{"uid":"{uid}","resourceVersion":"{rv}"}}}}}}"#
            )
        };
        let all = [
            line("ADDED", "a", 1),
            line("MODIFIED", "a", 2),
            line("MODIFIED", "b", 3),
            line("MODIFIED", "a", 4),
            line("DELETED", "b", 5),
            line("BOOKMARK", "", 6),
        ];
        let lines: Vec<&[u8]> = all.iter().map(String::as_bytes).collect();
        let told = merged(&lines);
        let left: Vec<usize> =
            lines.iter().enumerate().filter(|(_, l)| told.contains(l)).map(|(i, _)| i).collect();
        assert_eq!(left, [0, 2, 3, 4, 5]);
    }
}
