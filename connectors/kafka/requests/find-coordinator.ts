/** FindCoordinator v1: the broker that keeps a group's offsets, or a transactional id's state. */
import { RequestWriter, ResponseReader } from './bytes.ts';
import type { BrokerAddress } from './metadata.ts';
import { type KafkaRequest, throwOnError } from './request.ts';

export type CoordinatorKind = 'group' | 'transaction';
const kinds = { group: 0, transaction: 1 } as const;

export function findCoordinatorRequest(kind: CoordinatorKind, key: string): KafkaRequest<BrokerAddress> {
  return {
    apiKey: 10,
    apiVersion: 1,
    apiName: 'FindCoordinator',
    encode: () => new RequestWriter().string(key).int8(kinds[kind]).toBuffer(),
    decode: (answer) => {
      const from = new ResponseReader(answer);
      from.int32();
      throwOnError(from.int16(), 'FindCoordinator');
      from.string();
      return { nodeId: from.int32(), host: from.string() ?? '', port: from.int32() };
    },
  };
}
