/** What processes tell each other in passing: `<pipeline>.notes`, compacted, written by anybody. Losing it would lose no row. */
import { corrupt } from '../../src/core/log-errors.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { PartTrouble } from '../../src/core/log-state.ts';
import { partitionId } from '../../src/core/partition.ts';
import type { Logger } from '../../src/core/ports.ts';
import { type Codec, RecordBatchBuilder } from '../../src/core/record-batch.ts';
import { EncodedHeaders } from '../../src/core/record-headers.ts';
import { versionWidth } from '../../src/core/version.ts';
import type { KafkaCluster } from './cluster.ts';
import { CompactedReader } from './compacted-reader.ts';
import type { KeyedRecord } from './compacted.ts';
import type { KafkaSettings } from './config.ts';
import { codeError } from './errors.ts';
import { produceRequest } from './requests/produce.ts';
import type { TopicNames } from './topic-names.ts';
import { controlTopics, ensureTopics } from './topics.ts';

export interface NoteState {
  readonly troubles: Map<string, PartTrouble>;
  /** By service, then partition: since when (ms). */
  readonly waits: Map<string, Map<PartitionId, number>>;
  /** By service: what it had noted as applied before this time (ms) counts no more. */
  readonly forgotten: Map<string, number>;
}

type Note = readonly [kind: 'trouble' | 'wait' | 'forgot', ...names: string[]];

export class Notes {
  readonly #cluster: KafkaCluster;
  readonly #names: TopicNames;
  readonly #settings: KafkaSettings;
  readonly #codec: Codec;
  readonly #reader: CompactedReader<NoteState>;
  #exists: Promise<unknown> | undefined;

  constructor(cluster: KafkaCluster, names: TopicNames, settings: KafkaSettings, codec: Codec) {
    this.#cluster = cluster;
    this.#names = names;
    this.#settings = settings;
    this.#codec = codec;
    this.#reader = new CompactedReader({
      cluster,
      codec,
      topic: names.notes,
      empty: () => ({ troubles: new Map(), waits: new Map(), forgotten: new Map() }),
      replay,
    });
  }

  look(): Promise<NoteState> {
    return this.#reader.look();
  }

  trouble(part: string, trouble: PartTrouble | undefined): Promise<void> {
    return this.#write([[['trouble', part], trouble]]);
  }

  /** For who has said it aloud already: what cannot be noted is no failure. */
  teller(part: string, logger: Pick<Logger, 'debug'>): (trouble: PartTrouble | undefined) => void {
    return (trouble) =>
      void this.trouble(part, trouble).catch((error: unknown) => logger.debug({ err: error }, 'a trouble could not be noted'));
  }

  waits(service: string, sinceMs: ReadonlyMap<PartitionId, number | undefined>): Promise<void> {
    return this.#write([...sinceMs].map(([partition, since]) => [['wait', service, partition], since]));
  }

  forget(service: string, atMs: number): Promise<void> {
    return this.#write([[['forgot', service], atMs]]);
  }

  /** One batch, without a producer id: written twice it says the same. An undefined value takes the note back. */
  async #write(notes: readonly (readonly [Note, unknown])[]): Promise<void> {
    // Written even where this process wrote the same last: others write of the same things, and may be dead by now.
    const news = notes.map(([note, value]) => [JSON.stringify(note), value === undefined ? '' : JSON.stringify(value)] as const);
    if (news.length === 0) return;
    const batch = new RecordBatchBuilder();
    for (const [key, value] of news) batch.add(Date.now(), Buffer.from(key), value === '' ? null : Buffer.from(value), noteHeaders(), '');
    const bytes = batch.finish(this.#codec, 0);
    const where = partitionId(this.#names.notes, 0);
    await this.#ensured();
    await this.#cluster.retrying(async () => {
      const request = produceRequest([{ topic: this.#names.notes, partition: 0, bytes }], 5000);
      const [answer] = await this.#cluster.send({ leaderOf: where }, request, { lane: 'notes' });
      if (!answer || answer.errorCode === 0) return;
      this.#cluster.forget({ leaderOf: where });
      throw codeError(answer.errorCode, 'Produce', where);
    });
  }

  async #ensured(): Promise<void> {
    this.#exists ??= ensureTopics(
      this.#cluster,
      controlTopics(this.#names).filter(({ topic }) => topic === this.#names.notes),
      this.#settings,
    );
    try {
      await this.#exists;
    } catch (error) {
      this.#exists = undefined;
      throw error;
    }
  }
}

/** Our one encoder writes the headers of a row with every record; here they mean nothing. */
function noteHeaders(): EncodedHeaders {
  const headers = EncodedHeaders.of(0, 0, 'note');
  headers.version = '0'.repeat(versionWidth);
  return headers;
}

function replay(state: NoteState, { key, value, offset }: KeyedRecord, where: string): void {
  const note = parse(Buffer.from(key), `${where}@${offset}`) as Note;
  const content = value === null ? undefined : parse(value, `${where}@${offset}`);
  const [kind, name = '', partition = ''] = note;
  if (kind === 'trouble') set(state.troubles, name, content as PartTrouble | undefined);
  else if (kind === 'forgot') set(state.forgotten, name, content as number | undefined);
  else if (kind === 'wait') {
    const waits = state.waits.get(name) ?? new Map<PartitionId, number>();
    set(waits, partition, content as number | undefined);
    if (waits.size > 0) state.waits.set(name, waits);
    else state.waits.delete(name);
  }
}

function set<Value>(map: Map<string, Value>, key: string, value: Value | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function parse(bytes: Buffer, where: string): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    throw corrupt(where, 'it is not a note of ours');
  }
}
