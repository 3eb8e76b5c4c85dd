// frontend.mjs FILE ROUNDS: what Headlamp's frontend does with each message of its multiplexer, without a browser, a socket or a
// render: parse the envelope, parse the event inside it, hand it to the listener of its key, apply it to the list. Written from
// the behaviour (guard by the list's version, look-up by uid, a new array and a new list object per event), not from its source.
//
// FILE: recorded messages, one per line. They are replayed ROUNDS times; after each event's text was taken, only its version is new.
// Prints: events SECONDS-OF-CPU objects.
import { readFileSync } from 'node:fs';

class KubeObject {
  constructor(json, cluster) {
    this.jsonData = json;
    this.cluster = cluster;
  }
}

function apply(list, update, cluster) {
  const version = update.object.metadata.resourceVersion;
  if (version && list.metadata.resourceVersion && parseInt(version, 10) <= parseInt(list.metadata.resourceVersion, 10)) return list;
  const items = [...list.items];
  const at = items.findIndex(item => item.jsonData.metadata.uid === update.object.metadata.uid);
  switch (update.type) {
    case 'ADDED':
    case 'MODIFIED':
      if (at >= 0) items[at] = new KubeObject(update.object, cluster);
      else items.push(new KubeObject(update.object, cluster));
      break;
    case 'DELETED':
      if (at >= 0) items.splice(at, 1);
      break;
  }
  return { ...list, items, metadata: { ...list.metadata, resourceVersion: version } };
}

const [file, rounds] = [process.argv[2], Number(process.argv[3])];
const messages = readFileSync(file, 'utf8').split('\n').filter(line => line.length);
const lists = new Map();
const listeners = new Map();
const key = m => `${m.clusterId}:${m.path}:${m.query}`;
for (const line of messages) {
  const m = JSON.parse(line);
  if (listeners.has(key(m))) continue;
  lists.set(key(m), { kind: 'PodList', items: [], metadata: { resourceVersion: '1' } });
  listeners.set(key(m), update => lists.set(key(m), apply(lists.get(key(m)), update, m.clusterId)));
}

function onMessage(text) {
  const message = JSON.parse(text);
  if (!message.clusterId || !message.path || message.type === 'COMPLETE') return 0;
  const update = JSON.parse(message.data);
  if (!update || typeof update !== 'object') return 0;
  listeners.get(key(message))?.(update);
  return 1;
}

// Versions must rise from round to round, else the guard drops the event: they are patched in the text, before the clock runs.
const versionIn = /(\\"resourceVersion\\":\\")(\d+)(\\")/;
const texts = [];
for (let round = 0; round < rounds; round++)
  for (const line of messages) texts.push(line.replace(versionIn, (_, a, v, c) => a + (Number(v) + round * 10000000) + c));

let events = 0;
const before = process.cpuUsage();
for (const text of texts) events += onMessage(text);
const used = process.cpuUsage(before);
let objects = 0;
for (const list of lists.values()) objects += list.items.length;
console.log(events, (used.user + used.system) / 1e6, objects);
