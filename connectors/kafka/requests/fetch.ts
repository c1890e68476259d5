/** Fetch v13 (Kafka 3.1 and later): by topic id, so a topic that was made anew under the same name is never read as the old one. */
import { ResponseReader } from './bytes.ts';
import { type KafkaRequest, throwOnError } from './request.ts';

export interface FetchPartition {
  /** 32 hexadecimal digits. */
  readonly topicId: string;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
}
export interface FetchOptions {
  /** How long the broker may wait for the first byte. */
  readonly waitMs: number;
  readonly bytesMax: number;
}
export interface FetchedPartition {
  readonly topicId: string;
  readonly partition: number;
  readonly errorCode: number;
  /** The partition's end for readers; -1 with an error. */
  readonly endOffset: number;
  readonly startOffset: number;
  /** Whole batches and perhaps a cut one; a view into the answer. */
  readonly records: Buffer;
}

const partitionBytes = 33;
const nothing = Buffer.alloc(0);

/**
 * Without a fetch session and uncommitted: our batches belong to no transaction. The broker serves partitions in the
 * order of the request, and only the first that has anything gets a batch that is larger than the limits.
 */
export function fetchRequest(partitions: readonly FetchPartition[], { waitMs, bytesMax }: FetchOptions): KafkaRequest<FetchedPartition[]> {
  return {
    apiKey: 1,
    apiVersion: 13,
    apiName: 'Fetch',
    encode: () => encode(partitions, waitMs, bytesMax),
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.skipTags();
      from.int32();
      throwOnError(from.int16(), 'Fetch');
      from.int32();
      return from.compactArray(() => readTopic(from)).flat();
    },
  };
}

/** In one buffer and one walk: a thousand idle partitions are asked for five times a second. */
function encode(partitions: readonly FetchPartition[], waitMs: number, bytesMax: number): Buffer {
  const runs = runsOf(partitions);
  const out = Buffer.alloc(40 + runs.length * 22 + partitions.length * partitionBytes);
  let at = 1;
  at = out.writeInt32BE(-1, at);
  at = out.writeInt32BE(waitMs, at);
  at = out.writeInt32BE(1, at);
  at = out.writeInt32BE(bytesMax, at);
  at = out.writeInt8(0, at);
  at = out.writeInt32BE(0, at);
  at = out.writeInt32BE(-1, at);
  at = writeCount(out, at, runs.length);
  for (const { from, to } of runs) {
    at += out.write(partitions[from]?.topicId ?? '', at, 'hex');
    at = writeCount(out, at, to - from);
    for (let index = from; index < to; index += 1) at = writePartition(out, at, partitions[index] as FetchPartition);
    at += 1;
  }
  // No forgotten topics, no rack, no tags.
  at = writeCount(out, at, 0);
  at = writeCount(out, at, 0);
  return out.subarray(0, at + 1);
}

function writePartition(out: Buffer, start: number, { partition, offset, bytesMax }: FetchPartition): number {
  let at = out.writeInt32BE(partition, start);
  at = out.writeInt32BE(-1, at);
  at = out.writeBigInt64BE(BigInt(offset), at);
  at = out.writeInt32BE(-1, at);
  at = out.writeBigInt64BE(-1n, at);
  at = out.writeInt32BE(bytesMax, at);
  return at + 1;
}

function writeCount(out: Buffer, start: number, count: number): number {
  let at = start;
  let rest = count + 1;
  for (; rest > 127; rest >>>= 7) out[at++] = (rest & 127) | 128;
  out[at++] = rest;
  return at;
}

/** Neighbours of one topic share its entry; the order of the partitions stays, because the broker serves in that order. */
function runsOf(partitions: readonly FetchPartition[]): { readonly from: number; readonly to: number }[] {
  const runs: { from: number; to: number }[] = [];
  for (const [index, { topicId }] of partitions.entries()) {
    const last = runs.at(-1);
    if (last && partitions[last.from]?.topicId === topicId) last.to = index + 1;
    else runs.push({ from: index, to: index + 1 });
  }
  return runs;
}

function readTopic(from: ResponseReader): FetchedPartition[] {
  const topicId = from.raw(16).toString('hex');
  const partitions = from.compactArray(() => {
    const partition = from.int32();
    const errorCode = from.int16();
    const endOffset = Number(from.int64());
    from.int64();
    const startOffset = Number(from.int64());
    from.compactArray(() => {
      from.raw(16);
      from.skipTags();
    });
    from.int32();
    const length = from.varint() - 1;
    const records = length > 0 ? from.raw(length) : nothing;
    from.skipTags();
    return { topicId, partition, errorCode, endOffset, startOffset, records };
  });
  from.skipTags();
  return partitions;
}
