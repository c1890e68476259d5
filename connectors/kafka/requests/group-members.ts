/** The classic group protocol: JoinGroup v5, SyncGroup v3, Heartbeat v3, LeaveGroup v3. Errors are codes in the answers: most are news, not failures. */
import { RequestWriter, ResponseReader } from './bytes.ts';
import type { KafkaRequest } from './request.ts';

export interface JoinOptions {
  readonly group: string;
  /** Empty for a new member; the first answer (code 79) names it. */
  readonly memberId: string;
  readonly sessionMs: number;
  /** How long the group waits for its other members to join again. */
  readonly rebalanceMs: number;
  readonly protocol: string;
  readonly metadata: Uint8Array;
}
export interface JoinAnswer {
  readonly errorCode: number;
  readonly generation: number;
  readonly leaderId: string;
  readonly memberId: string;
  /** Only the leader is told of the others. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}

export function joinGroupRequest(options: JoinOptions): KafkaRequest<JoinAnswer> {
  const { group, memberId, sessionMs, rebalanceMs, protocol, metadata } = options;
  return {
    apiKey: 11,
    apiVersion: 5,
    apiName: 'JoinGroup',
    encode: () => {
      const out = new RequestWriter().string(group).int32(sessionMs).int32(rebalanceMs).string(memberId).string(null).string('consumer');
      return out.array([protocol], (name) => out.string(name).bytes(metadata)).toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      const errorCode = from.int16();
      const generation = from.int32();
      from.string();
      const leaderId = from.string() ?? '';
      const own = from.string() ?? '';
      const members = from.array(() => {
        const id = from.string() ?? '';
        from.string();
        return { memberId: id, metadata: from.bytes() ?? Buffer.alloc(0) };
      });
      return { errorCode, generation, leaderId, memberId: own, members };
    },
  };
}

export interface MemberPlace {
  readonly group: string;
  readonly generation: number;
  readonly memberId: string;
}

export interface SyncAnswer {
  readonly errorCode: number;
  readonly assignment: Buffer;
}

/** The leader hands in everybody's assignment, the others none; each is answered its own. */
export function syncGroupRequest(place: MemberPlace, assignments: ReadonlyMap<string, Uint8Array>): KafkaRequest<SyncAnswer> {
  return {
    apiKey: 14,
    apiVersion: 3,
    apiName: 'SyncGroup',
    encode: () => {
      const out = new RequestWriter().string(place.group).int32(place.generation).string(place.memberId).string(null);
      return out.array([...assignments], ([memberId, assignment]) => out.string(memberId).bytes(assignment)).toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      const errorCode = from.int16();
      return { errorCode, assignment: from.bytes() ?? Buffer.alloc(0) };
    },
  };
}

/** Answers an error code: 0, 27 (join again), or a membership that is over. */
export function heartbeatRequest({ group, generation, memberId }: MemberPlace): KafkaRequest<number> {
  return {
    apiKey: 12,
    apiVersion: 3,
    apiName: 'Heartbeat',
    encode: () => new RequestWriter().string(group).int32(generation).string(memberId).string(null).toBuffer(),
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      return from.int16();
    },
  };
}

/** Answers an error code for the whole; that a member is unknown by now is none. */
export function leaveGroupRequest(group: string, memberIds: readonly string[]): KafkaRequest<number> {
  return {
    apiKey: 13,
    apiVersion: 3,
    apiName: 'LeaveGroup',
    encode: () => {
      const out = new RequestWriter().string(group);
      return out.array(memberIds, (memberId) => out.string(memberId).string(null)).toBuffer();
    },
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      return from.int16();
    },
  };
}
