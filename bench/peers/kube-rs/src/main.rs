//! kube-rs KUBECONFIG MODE: a reflector over the Pods of all namespaces; bench/peers/README.md says what it answers.
//!
//! MODE: typed or dynamic; then ",drop" drops managedFields, ",stream" asks for a streaming list in place of ListWatch.
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{BufRead, Write};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::reflector::store::{Store, Writer};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const STAMP: &str = "fakekube.io/sent-ns";

struct Counts {
    began: Instant,
    adds: AtomicU64,
    updates: AtomicU64,
    deletes: AtomicU64,
    lists: AtomicU64,
    synced_objects: AtomicU64,
    synced_wall_ns: AtomicU64, // 0: not yet
    synced_cpu_ns: AtomicU64,
    latencies: [AtomicU64; 1024],
}

fn monotonic() -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

fn cpu() -> u64 {
    let mut u: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut u) };
    let ns = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1000;
    ns(u.ru_utime) + ns(u.ru_stime)
}

/// 16 buckets per power of two.
fn bucket(v: u64) -> usize {
    if v < 16 {
        return v as usize;
    }
    let e = v.ilog2() as usize;
    (e - 3) * 16 + (v >> (e - 4) & 15) as usize
}

fn lowest(b: usize) -> u64 {
    if b < 16 {
        b as u64
    } else {
        (16 + b as u64 % 16) << (b / 16 - 1)
    }
}

fn stamp(annotations: &BTreeMap<String, String>) -> u64 {
    annotations
        .get(STAMP)
        .and_then(|s| s.parse().ok())
        .expect("an object without fakekube.io/sent-ns")
}

impl Counts {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            began: Instant::now(),
            adds: zero(),
            updates: zero(),
            deletes: zero(),
            lists: zero(),
            synced_objects: zero(),
            synced_wall_ns: zero(),
            synced_cpu_ns: zero(),
            latencies: std::array::from_fn(|_| zero()),
        }
    }

    fn count(&self, phase: &str) -> Value {
        let (a, u, d) = (
            self.adds.load(Relaxed),
            self.updates.load(Relaxed),
            self.deletes.load(Relaxed),
        );
        json!({"phase": phase, "events": a + u + d, "adds": a, "updates": u, "deletes": d, "lists": self.lists.load(Relaxed), "cpu_ns": cpu(),
            "content": "application/json"})
    }

    fn stat(&self, phase: &str) -> Value {
        let mut out = self.count(phase);
        for (file, field, key) in [
            ("smaps_rollup", "Pss:", "pss"),
            ("smaps_rollup", "Rss:", "rss"),
            ("status", "VmHWM:", "hwm"),
        ] {
            let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap();
            let line = text.lines().find(|l| l.starts_with(field)).unwrap();
            out[key] = json!(
                line.split_whitespace()
                    .nth(1)
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
                    * 1024
            );
        }
        out
    }

    fn synced(&self) -> Value {
        while self.synced_wall_ns.load(Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        json!({"phase": "synced", "objects": self.synced_objects.load(Relaxed), "wall_ns": self.synced_wall_ns.load(Relaxed),
            "cpu_ns": self.synced_cpu_ns.load(Relaxed)})
    }

    fn latency(&self) -> Value {
        let got: Vec<u64> = self.latencies.iter().map(|b| b.swap(0, Relaxed)).collect();
        let n: u64 = got.iter().sum();
        let mut out = json!({"phase": "latency", "count": n});
        let (mut next, mut sum) = (0, 0);
        for (name, share) in [
            ("p50_ns", 0.5),
            ("p90_ns", 0.9),
            ("p99_ns", 0.99),
            ("max_ns", 1.0),
        ] {
            while n > 0 && (sum as f64) < share * n as f64 {
                sum += got[next];
                next += 1;
            }
            out[name] = json!(lowest(next.max(1) - 1));
        }
        out
    }
}

fn digest<K: Resource + Clone + 'static>(store: &Store<K>) -> Value
where
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    let objects = store.state();
    let sum = objects.iter().fold(0u64, |sum, o| {
        let key = format!(
            "{}/{}/{}",
            o.namespace().unwrap_or_default(),
            o.name_any(),
            o.resource_version().unwrap_or_default()
        );
        sum.wrapping_add(key.bytes().fold(0xcbf29ce484222325, |h, c| {
            (h ^ c as u64).wrapping_mul(0x100000001b3)
        }))
    });
    json!({"phase": "digest", "objects": objects.len(), "digest": format!("{sum:016x}")})
}

/// All decay is purged, as a forced collection does elsewhere.
fn purge() {
    const ALL_ARENAS: &std::ffi::CStr = c"arena.4096.purge";
    unsafe {
        tikv_jemalloc_sys::mallctl(
            ALL_ARENAS.as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        )
    };
}

fn answer<K: Resource + Clone + 'static>(counts: &Counts, store: &Store<K>)
where
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let text = match line.unwrap().as_str() {
            "synced" => counts.synced(),
            "count" => counts.count("count"),
            "stat" => counts.stat("stat"),
            "gc" => {
                purge();
                counts.stat("gc")
            }
            "digest" => digest(store),
            "latency" => counts.latency(),
            _ => continue,
        };
        writeln!(out, "{text}").unwrap();
        out.flush().unwrap();
    }
    std::process::exit(0);
}

async fn mirror<K>(api: Api<K>, kind: K::DynamicType, mode: &str)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone + Send + Sync,
{
    let has = |w: &str| mode.split(',').any(|m| m == w);
    let (drop, counts) = (has("drop"), Arc::new(Counts::new()));
    let config = if has("stream") {
        watcher::Config::default().streaming_lists()
    } else {
        watcher::Config::default()
    };
    let writer = Writer::new(kind);
    let store = writer.as_reader();
    let asked = (counts.clone(), store.clone());
    std::thread::spawn(move || answer(&asked.0, &asked.1));
    let events = watcher(api, config).default_backoff().modify(|o| {
        if drop {
            o.managed_fields_mut().clear();
        }
    });
    let mut events = pin!(events.reflect(writer));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => one_more(&counts.lists),
            Ok(Event::InitApply(o)) => {
                stamp(o.annotations());
                one_more(&counts.adds);
            }
            Ok(Event::InitDone) if counts.synced_wall_ns.load(Relaxed) == 0 => {
                counts.synced_objects.store(store.len() as u64, Relaxed);
                counts.synced_cpu_ns.store(cpu(), Relaxed);
                counts
                    .synced_wall_ns
                    .store(counts.began.elapsed().as_nanos() as u64, Relaxed);
            }
            Ok(Event::InitDone) => (),
            Ok(Event::Apply(o)) => {
                let late = monotonic().saturating_sub(stamp(o.annotations()));
                one_more(&counts.latencies[bucket(late)]);
                one_more(&counts.updates);
            }
            Ok(Event::Delete(_)) => one_more(&counts.deletes),
            Err(why) => eprintln!("kube-rs: {why}"), // the watcher goes on by itself
        }
    }
}

fn one_more(c: &AtomicU64) {
    c.fetch_add(1, Relaxed);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, file, mode] = args.as_slice() else {
        return Err("usage: kube-rs KUBECONFIG MODE".into());
    };
    let config =
        Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &KubeConfigOptions::default())
            .await?;
    let client = Client::try_from(config)?;
    match mode.split(',').next() {
        Some("typed") => mirror::<Pod>(Api::all(client), (), mode).await,
        Some("dynamic") => {
            let kind = ApiResource::erase::<Pod>(&());
            mirror::<DynamicObject>(Api::all_with(client, &kind), kind, mode).await
        }
        _ => return Err("MODE: typed or dynamic".into()),
    }
    Ok(())
}
