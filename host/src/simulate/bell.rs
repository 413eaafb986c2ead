//! Wakes everybody who waits, in the order that they began to wait.
//!
//! tokio's own watch channel wakes its receivers in a random order, which no
//! seed would repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Inner {
    rung: AtomicU64,
    waiting: Notify,
}

/// Rings.
#[derive(Debug, Default)]
pub(super) struct Bell(Arc<Inner>);

impl Bell {
    pub(super) fn ring(&self) {
        self.0.rung.fetch_add(1, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// How often it has rung.
    pub(super) fn rung(&self) -> u64 {
        self.0.rung.load(Ordering::SeqCst)
    }

    /// Hears every ring from now on.
    pub(super) fn ear(&self) -> Ear {
        Ear { inner: Arc::clone(&self.0), heard: self.rung() }
    }
}

/// Hears.
#[derive(Debug)]
pub(super) struct Ear {
    inner: Arc<Inner>,
    heard: u64,
}

impl Ear {
    /// How often the bell had rung when it was last heard.
    pub(super) const fn heard(&self) -> u64 {
        self.heard
    }

    /// Returns when the bell has rung since it was last heard.
    pub(super) async fn ring(&mut self) {
        loop {
            let waiting = self.inner.waiting.notified();
            let rung = self.inner.rung.load(Ordering::SeqCst);
            if rung != self.heard {
                self.heard = rung;
                return;
            }
            waiting.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[tokio::test]
    async fn all_hear_a_ring_in_the_order_that_they_began_to_wait() {
        let (bell, heard) = (Bell::default(), Rc::new(RefCell::new(Vec::new())));
        let local = tokio::task::LocalSet::new();
        for name in 0..20 {
            let (mut ear, heard) = (bell.ear(), Rc::clone(&heard));
            local.spawn_local(async move {
                ear.ring().await;
                heard.borrow_mut().push(name);
            });
        }
        local
            .run_until(async {
                tokio::task::yield_now().await;
                bell.ring();
            })
            .await;
        local.await;
        assert_eq!(*heard.borrow(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_ring_before_waiting_is_heard_once() {
        let bell = Bell::default();
        let mut ear = bell.ear();
        bell.ring();
        bell.ring();
        ear.ring().await;
        assert_eq!(ear.heard(), 2);
        let again = tokio::time::timeout(std::time::Duration::ZERO, ear.ring()).await;
        assert!(again.is_err(), "it is heard once");
    }
}
