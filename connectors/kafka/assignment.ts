/** Kafka's own encoding of what members know and what they get (ConsumerProtocol v1), so that its tools show our groups. */
import type { GroupMember } from '../../src/core/group-share.ts';
import { numberOf, partitionId, topicOf } from '../../src/core/partition.ts';
import type { PartitionId } from '../../src/core/log-port.ts';
import { RequestWriter, ResponseReader } from './requests/bytes.ts';

/** A member as it joins: what it could read, what it has at present, and of which generation it had that. */
export interface Candidate extends GroupMember {
  readonly owned: readonly PartitionId[];
  readonly generation: number;
}

const version = 1;

/** Topics here are Kafka's own names. */
export function encodeSubscription({ partitions, owned, generation }: Omit<Candidate, 'id'>): Buffer {
  const out = new RequestWriter().int16(version);
  const topics = [...byTopic(partitions)];
  out.array(topics, ([topic]) => out.string(topic));
  const counts = topics.map(([topic, numbers]) => [topic, numbers.length]);
  out.bytes(Buffer.from(JSON.stringify({ generation, partitions: Object.fromEntries(counts) as unknown })));
  return writeAssignments(out, owned).toBuffer();
}

export function decodeSubscription(id: string, bytes: Buffer): Candidate {
  const from = new ResponseReader(bytes);
  from.int16();
  from.array(() => from.string());
  const { generation, partitions } = JSON.parse((from.bytes() ?? Buffer.alloc(0)).toString()) as {
    readonly generation: number;
    readonly partitions: Readonly<Record<string, number>>;
  };
  const known = Object.entries(partitions).flatMap(([topic, count]) => Array.from({ length: count }, (_, n) => partitionId(topic, n)));
  return { id, partitions: known, owned: readAssignments(from), generation };
}

export function encodeAssignment(partitions: readonly PartitionId[]): Buffer {
  return writeAssignments(new RequestWriter().int16(version), partitions).int32(-1).toBuffer();
}

/** None where the group has not come together. */
export function decodeAssignment(bytes: Buffer): PartitionId[] {
  if (bytes.length === 0) return [];
  const from = new ResponseReader(bytes);
  from.int16();
  return readAssignments(from);
}

function writeAssignments(out: RequestWriter, partitions: readonly PartitionId[]): RequestWriter {
  return out.array([...byTopic(partitions)], ([topic, numbers]) => out.string(topic).array(numbers, (number) => out.int32(number)));
}

function readAssignments(from: ResponseReader): PartitionId[] {
  return from
    .array(() => {
      const topic = from.string() ?? '';
      return from.array(() => partitionId(topic, from.int32()));
    })
    .flat();
}

function byTopic(partitions: readonly PartitionId[]): Map<string, number[]> {
  const topics = new Map<string, number[]>();
  for (const partition of partitions) {
    const topic = topicOf(partition);
    const numbers = topics.get(topic);
    if (numbers) numbers.push(numberOf(partition));
    else topics.set(topic, [numberOf(partition)]);
  }
  return topics;
}
