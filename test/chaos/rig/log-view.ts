/** What a test sees of a log from outside: read from the file or from the broker, never through the product's reading. */
import { embeddedView } from './log-embedded.ts';
import { kafkaView } from './log-kafka.ts';

export type LogKind = 'embedded' | 'kafka';

export interface WrittenRecord {
  readonly offset: number;
  readonly version: string;
  readonly term: number;
}

export interface PartitionRecords {
  /** `topic#number` */
  readonly partition: string;
  /** Every row record that any consumer can read, a zombie's too. */
  readonly records: readonly WrittenRecord[];
  /** Offsets that hold something no consumer sees: the markers of Kafka's transactions. */
  readonly markers: readonly number[];
}

export interface LogView {
  readonly kind: LogKind;
  /** What `log:` says in the configuration. */
  readonly setting: string;
  /** How many records of rows are in the log, or in one topic of it, and nothing else; rejects while the log's server is down, or its writer is frozen in the middle of a write. */
  captured(topic?: string): Promise<number>;
  /** All rows of all partitions. */
  records(): Promise<PartitionRecords[]>;
}

export interface LogPlace {
  readonly pipeline: string;
  /** Of the embedded log's file. */
  readonly folder: string;
  /** `host:port` of a broker. */
  readonly kafka: string | undefined;
}

export function viewOf(kind: LogKind, { pipeline, folder, kafka }: LogPlace): LogView {
  if (kind === 'embedded') return embeddedView(folder, pipeline);
  if (kafka === undefined) throw new Error('the rig has no Kafka');
  return kafkaView(kafka, pipeline);
}

/** What breaks the rule of the log, one line each: G5, no record of a zombie's, and no offset without a reason. */
export function brokenRules(partitions: readonly PartitionRecords[]): string[] {
  return partitions.flatMap(({ partition, records, markers }) => {
    const broken: string[] = [];
    const offsets = [...records.map(({ offset }) => offset), ...markers].sort((a, b) => a - b);
    const gap = offsets.findIndex((offset, index) => offset !== index);
    if (gap >= 0) broken.push(`${partition}: offset ${gap} is ${offsets[gap]}`);
    for (const [index, { offset, version, term }] of records.entries()) {
      const before = records[index - 1];
      if (before === undefined) continue;
      if (version <= before.version) broken.push(`${partition} at ${offset}: version ${version} after ${before.version}`);
      if (term < before.term) broken.push(`${partition} at ${offset}: term ${term} after ${before.term}`);
    }
    return broken;
  });
}
