/** Groups from outside: ListGroups v2 (each broker tells its own), DescribeGroups v3, DeleteGroups v1. */
import { RequestWriter, ResponseReader } from './bytes.ts';
import { type KafkaRequest, throwOnError } from './request.ts';

export function listGroupsRequest(): KafkaRequest<string[]> {
  return {
    apiKey: 16,
    apiVersion: 2,
    apiName: 'ListGroups',
    encode: () => Buffer.alloc(0),
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      throwOnError(from.int16(), 'ListGroups');
      return from.array(() => {
        const group = from.string() ?? '';
        from.string();
        return group;
      });
    },
  };
}

interface GroupMember {
  readonly memberId: string;
  readonly clientId: string;
  /** Empty while the group is coming together. */
  readonly assignment: Buffer;
}
export interface GroupDescription {
  readonly errorCode: number;
  readonly group: string;
  readonly state: string;
  readonly members: readonly GroupMember[];
}

export function describeGroupsRequest(groups: readonly string[]): KafkaRequest<GroupDescription[]> {
  return {
    apiKey: 15,
    apiVersion: 3,
    apiName: 'DescribeGroups',
    encode: () => {
      const out = new RequestWriter();
      return out
        .array(groups, (group) => out.string(group))
        .boolean(false)
        .toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      return from.array(() => readGroup(from));
    },
  };
}

function readGroup(from: ResponseReader): GroupDescription {
  const errorCode = from.int16();
  const group = from.string() ?? '';
  const state = from.string() ?? '';
  from.string();
  from.string();
  const members = from.array(() => {
    const memberId = from.string() ?? '';
    const clientId = from.string() ?? '';
    from.string();
    from.bytes();
    return { memberId, clientId, assignment: from.bytes() ?? Buffer.alloc(0) };
  });
  from.int32();
  return { errorCode, group, state, members };
}

/** Answers an error code: 68 where the group has members. */
export function deleteGroupRequest(group: string): KafkaRequest<number> {
  return {
    apiKey: 42,
    apiVersion: 1,
    apiName: 'DeleteGroups',
    encode: () => {
      const out = new RequestWriter();
      return out.array([group], (name) => out.string(name)).toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      const [code] = from.array(() => {
        from.string();
        return from.int16();
      });
      return code ?? 0;
    },
  };
}
