/** What a group has applied, where Kafka's own tools look for it: OffsetCommit v5 and OffsetFetch v5. */
import type { Offsets } from '../../../src/core/log-port.ts';
import { numberOf, topicOf } from '../../../src/core/partition.ts';
import { RequestWriter, ResponseReader } from './bytes.ts';
import type { MemberPlace } from './group-members.ts';
import { type KafkaRequest, throwOnError } from './request.ts';

export interface GroupOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Free text, kept with the offset. */
  readonly metadata: string;
}

/** Outside of a group's life (generation -1, no member id) only while it has no members. Answers the first error code, or 0. */
export function offsetCommitRequest(place: MemberPlace, offsets: readonly GroupOffset[]): KafkaRequest<number> {
  return {
    apiKey: 8,
    apiVersion: 5,
    apiName: 'OffsetCommit',
    encode: () => {
      const out = new RequestWriter().string(place.group).int32(place.generation).string(place.memberId);
      out.array([...Map.groupBy(offsets, ({ topic }) => topic)], ([topic, parts]) =>
        out.string(topic).array(parts, ({ partition, offset, metadata }) => out.int32(partition).int64(BigInt(offset)).string(metadata)),
      );
      return out.toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      const codes = from.array(() => {
        from.string();
        return from.array(() => {
          from.int32();
          return from.int16();
        });
      });
      return codes.flat().find((code) => code !== 0) ?? 0;
    },
  };
}

/** All that the group has committed. */
export function offsetFetchRequest(group: string): KafkaRequest<GroupOffset[]> {
  return {
    apiKey: 9,
    apiVersion: 5,
    apiName: 'OffsetFetch',
    encode: () => new RequestWriter().string(group).int32(-1).toBuffer(),
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      const offsets = from.array(() => readTopic(from)).flat();
      throwOnError(from.int16(), 'OffsetFetch');
      return offsets;
    },
  };
}

function readTopic(from: ResponseReader): GroupOffset[] {
  const topic = from.string() ?? '';
  return from.array(() => {
    const partition = from.int32();
    const offset = Number(from.int64());
    from.int32();
    const metadata = from.string() ?? '';
    throwOnError(from.int16(), 'OffsetFetch');
    return { topic, partition, offset, metadata };
  });
}

/** The time of the commit goes with it: `forget` ignores what was noted before it. */
export function groupOffsets(offsets: Offsets): GroupOffset[] {
  const metadata = String(Date.now());
  return [...offsets].map(([partition, offset]) => ({ topic: topicOf(partition), partition: numberOf(partition), offset, metadata }));
}
