import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import type { Command } from './command.ts';
import { run } from './command.ts';
import { jars, java } from './java.ts';
import { freePort } from './ports.ts';
import type { Log } from './progress.ts';
import { withProgress } from './progress.ts';
import type { Place, Recipe } from './server.ts';

const VERSION = '4.3.0';
/** Kafka and its tools, as Maven knows them. */
export const KAFKA_ARTIFACTS = [
  `org.apache.kafka:kafka_2.13:${VERSION}`,
  `org.apache.kafka:kafka-tools:${VERSION}`,
  'org.apache.logging.log4j:log4j-slf4j-impl:2.25.4',
];

/** One node is broker and controller, so every internal topic has one replica. */
const SINGLE_NODE: Readonly<Record<string, string>> = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.listener.names': 'CONTROLLER',
  'inter.broker.listener.name': 'PLAINTEXT',
  'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  // Made at the first group and the first transaction; fifty partitions each take a busy machine ten seconds.
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.num.partitions': '4',
  // A killed broker is let in again only when its old session has run out: two seconds instead of nine.
  'broker.session.timeout.ms': '2000',
  'broker.heartbeat.interval.ms': '500',
  // A topic that nobody created is a mistake of the caller's, not a wish.
  'auto.create.topics.enable': 'false',
};

async function inJava(place: Place, args: readonly string[]): Promise<Command> {
  const libs = await jars('kafka', KAFKA_ARTIFACTS, place.log);
  return await java(
    ['-Xms256m', '-Xmx1g', '-XX:+UseG1GC', '-Dorg.apache.logging.log4j.level=WARN', '-cp', `${libs}/*`, ...args],
    place.log,
  );
}

/** One of the programs that come with Kafka, by its class. */
export async function kafkaTool(name: string, args: readonly string[], log: Log = () => undefined): Promise<Command> {
  const libs = await jars('kafka', KAFKA_ARTIFACTS, log);
  return await java(['-Xmx1g', '-Dorg.apache.logging.log4j.level=WARN', '-cp', `${libs}/*`, name, ...args], log);
}

/** Kafka of one node without ZooKeeper (KRaft), without authentication, on this machine only. */
export const kafka: Recipe = {
  name: 'kafka',
  url: (port) => `127.0.0.1:${port}`,
  initialise: async (place) => {
    const controllerPort = await freePort();
    const settings: Readonly<Record<string, string>> = {
      ...SINGLE_NODE,
      'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
      listeners: `PLAINTEXT://127.0.0.1:${place.port},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${place.port}`,
      'log.dirs': join(place.data, 'log'),
    };
    const file = propertiesFile(place);
    await writeFile(
      file,
      `${Object.entries(withMore(settings, place.extraArgs))
        .map(([key, value]) => `${key}=${value}`)
        .join('\n')}\n`,
    );
    const clusterId = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
    // In one word: an id may begin with a dash, and by itself would be taken for an option.
    const format = await inJava(place, ['kafka.tools.StorageTool', 'format', `--cluster-id=${clusterId}`, '-c', file]);
    await withProgress(
      place.log,
      () => 'kafka: formatting its data folder',
      () => run(format),
    );
  },
  command: (place) => inJava(place, ['kafka.Kafka', propertiesFile(place)]),
  ask: askKafka,
  stopSignal: 'SIGTERM',
  container: {
    image: `apache/kafka:${VERSION}`,
    port: 9092,
    environment: (hostPort) => ({
      ...Object.fromEntries(Object.entries(SINGLE_NODE).map(([key, value]) => [`KAFKA_${key.toUpperCase().replaceAll('.', '_')}`, value])),
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@127.0.0.1:9093',
      KAFKA_LISTENERS: 'PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093',
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${hostPort}`,
    }),
    command: () => [],
  },
};

/** `name=value` replaces a setting, `name+=value` is one more in its list. */
function withMore(settings: Readonly<Record<string, string>>, more: readonly string[]): Record<string, string> {
  const all = { ...settings };
  for (const line of more) {
    const at = line.indexOf('=');
    const [name, value] = [line.slice(0, at), line.slice(at + 1)];
    if (!name.endsWith('+')) all[name] = value;
    else all[name.slice(0, -1)] = [all[name.slice(0, -1)], value].filter((part) => part !== undefined).join(',');
  }
  return all;
}

function propertiesFile(place: Place): string {
  return join(place.data, 'server.properties');
}

/** Asks for the versions of the protocol: a broker answers that as soon as it serves clients, and not before. */
async function askKafka(url: string): Promise<void> {
  const [host = '', port = ''] = url.split(',')[0]?.split(':') ?? [];
  // Length, then: request 18 (ApiVersions) in version 0, correlation id 7, no client id.
  const request = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]);
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port: Number(port) }, () => socket.write(request));
    socket.setTimeout(2000, () => socket.destroy(new Error('kafka does not answer')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('kafka closed the connection')));
    socket.once('data', () => {
      resolve();
      socket.destroy();
    });
  });
}
