/** A group's offsets, handled by somebody who is not its member: as Kafka's own tools would. */
import type { Offsets } from '../../src/core/log-port.ts';
import type { KafkaCluster } from './cluster.ts';
import { codeError } from './errors.ts';
import { deleteGroupRequest } from './requests/group-listing.ts';
import { groupOffsets, offsetCommitRequest } from './requests/group-offsets.ts';

const unknownMember = 25;
const rebalancing = 27;
const groupHasMembers = 68;
const groupNotFound = 69;

/** By Kafka's names. Changes nothing where the group has members: they know better. */
export async function commitFromOutside(cluster: KafkaCluster, group: string, offsets: Offsets): Promise<void> {
  const named = groupOffsets(offsets);
  await cluster.retrying(async () => {
    const place = { group, generation: -1, memberId: '' };
    const code = await cluster.send({ coordinator: 'group', key: group }, offsetCommitRequest(place, named));
    if (code === 0 || code === unknownMember || code === rebalancing) return;
    cluster.forget({ coordinator: 'group', key: group });
    throw codeError(code, 'OffsetCommit', `group ${group}`);
  });
}

/** False where it has members, and so stays. */
export async function deleteGroup(cluster: KafkaCluster, group: string): Promise<boolean> {
  const code = await cluster.ask({ coordinator: 'group', key: group }, deleteGroupRequest(group));
  if (code === groupHasMembers) return false;
  if (code !== 0 && code !== groupNotFound) throw codeError(code, 'DeleteGroups', `group ${group}`);
  return true;
}
