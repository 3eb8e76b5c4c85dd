// informer.mjs KUBECONFIG MODE: makeInformer of @kubernetes/client-node over the Pods of all namespaces; bench/peers/README.md says what it answers.
//
// MODE: raw (the first list is JSON.parse and nothing more) or typed (the list comes from CoreV1Api). Watched objects are JSON.parse in both.
import fs from 'node:fs';
import http from 'node:http';
import readline from 'node:readline';
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node';

const STAMP = 'fakekube.io/sent-ns';
const PATH = '/api/v1/pods';
const [config, mode] = process.argv.slice(2);
if (!['raw', 'typed'].includes(mode)) throw new Error('usage: informer.mjs KUBECONFIG raw|typed');

const began = process.hrtime.bigint();
const counts = { adds: 0, updates: 0, deletes: 0, lists: 0 };
let latencies = new Uint32Array(1024);

const kc = new KubeConfig();
kc.loadFromFile(config);
kc.clusters = kc.clusters.map((cluster) => ({ ...cluster, skipTLSVerify: true })); // without it plain HTTP is refused
const authenticate = kc.applySecurityAuthentication.bind(kc);
kc.applySecurityAuthentication = async (context) => {
    await authenticate(context);
    context.setHeaderParam('Accept-Encoding', 'identity'); // loopback: nobody here compresses
};

function listRaw() {
    const url = kc.getCurrentCluster().server + PATH;
    return new Promise((resolve, reject) => {
        http.get(url, { headers: { Accept: 'application/json' } }, (answer) => {
            const parts = [];
            answer.on('error', reject);
            answer.on('data', (part) => parts.push(part));
            answer.on('end', () => {
                try {
                    resolve(JSON.parse(Buffer.concat(parts)));
                } catch (why) {
                    reject(why);
                }
            });
        }).on('error', reject);
    });
}

const api = kc.makeApiClient(CoreV1Api);
const informer = makeInformer(kc, PATH, () => {
    counts.lists++;
    return mode === 'raw' ? listRaw() : api.listPodForAllNamespaces();
});

// 16 buckets per power of two.
function bucket(v) {
    if (v < 16) return Math.max(v, 0);
    const e = Math.floor(Math.log2(v));
    return (e - 3) * 16 + (Math.floor(v / 2 ** (e - 4)) & 15);
}
const lowest = (b) => (b < 16 ? b : (16 + (b % 16)) * 2 ** (Math.floor(b / 16) - 1));

function stampOf(pod) {
    return Number(pod.metadata.annotations[STAMP]);
}

informer.on('add', (pod) => {
    counts.adds++;
    if (!stampOf(pod)) throw new Error(`an object without ${STAMP}`);
});
informer.on('update', (pod) => {
    const [s, ns] = process.hrtime();
    latencies[bucket(s * 1e9 + ns - stampOf(pod))]++;
    counts.updates++;
});
informer.on('delete', () => counts.deletes++);
informer.on('error', (why) => {
    console.error(`informer.mjs: ${why}`);
    setTimeout(() => informer.start(), 1000); // as its documentation says
});

function cpu() {
    const u = process.cpuUsage();
    return (u.user + u.system) * 1000;
}
function count(phase) {
    return { phase, events: counts.adds + counts.updates + counts.deletes, ...counts, cpu_ns: cpu(), content: 'application/json' };
}
function kibibytes(file, field) {
    return Number(fs.readFileSync(file, 'utf8').match(new RegExp(`^${field}:\\s+(\\d+)`, 'm'))[1]) * 1024;
}
function stat(phase) {
    return { ...count(phase), pss: kibibytes('/proc/self/smaps_rollup', 'Pss'), rss: kibibytes('/proc/self/smaps_rollup', 'Rss'),
        hwm: kibibytes('/proc/self/status', 'VmHWM') };
}
function digest() {
    const mask = (1n << 64n) - 1n;
    let sum = 0n;
    const pods = informer.list();
    for (const { metadata: m } of pods) {
        let h = 0xcbf29ce484222325n;
        for (const c of Buffer.from(`${m.namespace}/${m.name}/${m.resourceVersion}`)) h = ((h ^ BigInt(c)) * 0x100000001b3n) & mask;
        sum = (sum + h) & mask;
    }
    return { phase: 'digest', objects: pods.length, digest: sum.toString(16).padStart(16, '0') };
}
function latency() {
    const got = latencies;
    latencies = new Uint32Array(got.length);
    const out = { phase: 'latency', count: got.reduce((a, b) => a + b, 0) };
    let b = -1, sum = 0;
    for (const [name, share] of [['p50_ns', 0.5], ['p90_ns', 0.9], ['p99_ns', 0.99], ['max_ns', 1]]) {
        while (out.count > 0 && sum < share * out.count) sum += got[++b];
        out[name] = lowest(Math.max(b, 0));
    }
    return out;
}

const synced = informer.start().then(() => ({ phase: 'synced', objects: informer.list().length, wall_ns: Number(process.hrtime.bigint() - began),
    cpu_ns: cpu() }));
const answers = {
    synced: () => synced,
    count: () => count('count'),
    stat: () => stat('stat'),
    gc: () => {
        global.gc();
        global.gc();
        return stat('gc');
    },
    digest,
    latency,
};
for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answers[line]()));
}
process.exit(0);
