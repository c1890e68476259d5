/** Where changes are kept: what a person writes, and what the connectors take. */
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { type KafkaSettings, kafkaSchema } from '../connectors/kafka/config.ts';
import { embeddedSchema, type SqliteSettings } from '../connectors/sqlite/config.ts';
import { type Tls, tlsIn } from './config-tls.ts';

export const logSchema = z
  .union([z.literal('embedded'), z.strictObject({ embedded: embeddedSchema }), z.strictObject({ kafka: kafkaSchema })])
  .prefault('embedded')
  .describe(
    'Where changes are kept between source and services: `embedded` is one SQLite file on this machine, `{ kafka: "host:9092" }` the brokers of a cluster.',
  );

export type LogConfig = { readonly name: string } & (
  | { readonly kind: 'embedded'; readonly settings: SqliteSettings }
  | { readonly kind: 'kafka'; readonly settings: KafkaSettings }
);
type LogFile = z.output<typeof logSchema>;

/** `name` is for people: the file, or the brokers. The file lies beside the configuration unless that says otherwise. */
export function logConfig(file: LogFile, pipeline: string, path: string): LogConfig {
  const folder = dirname(path);
  if (file !== 'embedded' && 'kafka' in file) {
    const { brokers, tls } = file.kafka;
    const name = `kafka ${brokers.map(({ host, port }) => `${host}:${port}`).join(',')}`;
    return { kind: 'kafka', name, settings: { ...file.kafka, tls: tlsIn(folder, tls) } };
  }
  const settings = file === 'embedded' ? embeddedSchema.parse({}) : file.embedded;
  const at = resolve(folder, settings.path ?? `${pipeline}.crossfade.db`);
  return { kind: 'embedded', name: at, settings: { ...settings, path: at } };
}

/** How the log is reached over the network, where it is. */
export function tlsOfLog(file: LogFile): Tls {
  return file !== 'embedded' && 'kafka' in file ? file.kafka.tls : false;
}
