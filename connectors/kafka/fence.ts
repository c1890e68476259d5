/**
 * Takes the right to write from whoever had it, unseen by consumers: the same producer id with the next epoch, then a
 * transaction over every partition that is aborted at once. Its markers carry the new epoch into each of them, and from then
 * on the brokers refuse the old one there (code 47), right number or not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PartitionId } from '../../src/core/log-port.ts';
import { numberOf, topicOf } from '../../src/core/partition.ts';
import type { KafkaCluster } from './cluster.ts';
import { codeError, fencedByEpoch, fenceTookTooLong } from './errors.ts';
import type { TopicPartitions } from './requests/request.ts';
import {
  abortRequest,
  addPartitionsRequest,
  initProducerIdRequest,
  type ProducerIdentity,
  transactionStateRequest,
} from './requests/transactions.ts';

/** After so long the coordinator aborts by itself, should we die in the middle. */
const transactionTimeoutMs = 30_000;
const pollMs = 5;
const markersWithinMs = 120_000;
const notAttempted = 55;

/** Resolves when nothing of an older epoch can be added to any of them, and the markers are on all in-sync replicas. */
export async function takeOverPartitions(
  cluster: KafkaCluster,
  transactionalId: string,
  partitions: readonly PartitionId[],
  signal: AbortSignal,
): Promise<ProducerIdentity> {
  const coordinator = { coordinator: 'transaction', key: transactionalId } as const;
  const identity = await cluster.ask(coordinator, initProducerIdRequest(transactionalId, transactionTimeoutMs), { signal });
  const topics = byTopic(partitions);
  await cluster.retrying(
    async () => {
      const answers = await cluster.send(coordinator, addPartitionsRequest(transactionalId, identity, topics), { signal });
      const refused = answers.find(({ errorCode }) => errorCode !== 0 && errorCode !== notAttempted);
      if (!refused) return;
      cluster.forget(coordinator);
      throw codeError(refused.errorCode, 'AddPartitionsToTxn', `${refused.topic}#${refused.partition}`);
    },
    { signal },
  );
  await cluster.ask(coordinator, abortRequest(transactionalId, identity), { signal });
  await markersWritten(cluster, transactionalId, identity, signal);
  return identity;
}

/** The coordinator answers the abort before the markers are in the partitions; until then an old leader could still write behind a tail. */
async function markersWritten(
  cluster: KafkaCluster,
  transactionalId: string,
  identity: ProducerIdentity,
  signal: AbortSignal,
): Promise<void> {
  const coordinator = { coordinator: 'transaction', key: transactionalId } as const;
  const untilMs = performance.now() + markersWithinMs;
  for (let pauseMs = pollMs; ; pauseMs = Math.min(2 * pauseMs, 200)) {
    const { state, id, epoch } = await cluster.ask(coordinator, transactionStateRequest(transactionalId), { signal });
    if (id !== identity.id || epoch !== identity.epoch) throw fencedByEpoch(transactionalId);
    if (state === 'CompleteAbort') return;
    if (performance.now() > untilMs) throw fenceTookTooLong(transactionalId, state);
    await sleep(pauseMs, undefined, { signal });
  }
}

function byTopic(partitions: readonly PartitionId[]): TopicPartitions[] {
  return [...Map.groupBy(partitions, topicOf)].map(([topic, ids]) => ({ topic, partitions: ids.map(numberOf) }));
}
