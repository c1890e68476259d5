/** Who reads, who leads and how far each service is, as the brokers know it: asked from outside, without taking part. */
import { hostname } from 'node:os';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { LogMember } from '../../src/core/log-state.ts';
import { partitionId } from '../../src/core/partition.ts';
import { decodeAssignment } from './assignment.ts';
import type { KafkaCluster } from './cluster.ts';
import { codeError } from './errors.ts';
import { describeGroupsRequest, type GroupDescription, listGroupsRequest } from './requests/group-listing.ts';
import { offsetFetchRequest } from './requests/group-offsets.ts';
import type { TopicNames } from './topic-names.ts';

export interface GroupLook {
  /** By service. */
  readonly offsets: Map<string, Map<PartitionId, number>>;
  readonly members: Map<string, LogMember[]>;
  /** The member of the election's group that has the place. */
  readonly leader: string | undefined;
}

/** Names process and machine, because that is all that the brokers tell of a member. */
export const clientId = (): string => `crossfade-${process.pid}-${hostname()}`;

function whoIs(client: string): string {
  const { pid, host } = /^crossfade-(?<pid>\d+)-(?<host>.+)$/.exec(client)?.groups ?? {};
  return pid === undefined ? `client ${client}` : `pid ${pid} on ${host}`;
}

/** `forgotten`: by service, the time (ms) before which what it noted counts no more. `ledLast`: the client that took the lead last. */
export async function lookAtGroups(
  cluster: KafkaCluster,
  names: TopicNames,
  forgotten: ReadonlyMap<string, number>,
  ledLast?: string,
): Promise<GroupLook> {
  const groups = await cluster.retrying(() => listOurs(cluster, names));
  const looks = await Promise.all(groups.map((group) => cluster.retrying(() => lookAt(cluster, group))));
  const offsets = new Map<string, Map<PartitionId, number>>();
  const members = new Map<string, LogMember[]>();
  let leader: string | undefined;
  for (const { group, description, committed } of looks) {
    const service = names.service(group);
    const living = description.members;
    if (service === undefined) {
      // While the group comes together, because a standby came, nobody has an assignment; who led goes on leading.
      const settled = living.some(({ assignment }) => assignment.length > 0);
      const holder = living.find((member) => (settled ? decodeAssignment(member.assignment).length > 0 : member.clientId === ledLast));
      leader = holder && whoIs(holder.clientId);
      continue;
    }
    // The brokers bury who was silent for a session's length, and tell nobody how long the others have been.
    if (living.length > 0)
      members.set(
        service,
        living.map(({ clientId: client }) => ({ who: whoIs(client), silentSeconds: 0 })),
      );
    const since = forgotten.get(service) ?? -1;
    const applied = committed.filter(({ metadata, offset }) => offset >= 0 && Number(metadata) > since);
    if (applied.length > 0)
      offsets.set(service, new Map(applied.map(({ topic, partition, offset }) => [names.stream(partitionId(topic, partition)), offset])));
  }
  return { offsets, members, leader };
}

/** Every broker tells of the groups that it coordinates. */
async function listOurs(cluster: KafkaCluster, names: TopicNames): Promise<string[]> {
  const { brokers } = await cluster.metadata([]);
  const all = await Promise.all(brokers.map(({ nodeId }) => cluster.send({ node: nodeId }, listGroupsRequest())));
  return [...new Set(all.flat())].filter((group) => group === names.captureGroup || names.service(group) !== undefined).sort();
}

async function lookAt(cluster: KafkaCluster, group: string) {
  const coordinator = { coordinator: 'group', key: group } as const;
  const [[description], committed] = await Promise.all([
    cluster.send(coordinator, describeGroupsRequest([group])),
    cluster.send(coordinator, offsetFetchRequest(group)),
  ]);
  if (description && description.errorCode === 0) return { group, description, committed };
  cluster.forget(coordinator);
  if (description?.errorCode === groupNotFound) return { group, description: { ...gone, group }, committed };
  throw codeError(description?.errorCode ?? -1, 'DescribeGroups', `group ${group}`);
}

const groupNotFound = 69;
const gone: Omit<GroupDescription, 'group'> = { errorCode: 0, state: 'Dead', members: [] };
