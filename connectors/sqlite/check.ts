/** Everything that keeps the embedded log from working, found without making or changing anything. */
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { asCrossfadeError } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/ports.ts';
import type { SqliteSettings } from './config.ts';
import { describeLeader, killCommand, LeaderLock } from './election.ts';
import { guarded } from './errors.ts';
import { GroupsFile } from './groups.ts';
import type { SqliteLogOptions, Timing } from './settings.ts';
import { checkStreams, openStore } from './store.ts';

/** Magic numbers of statfs(2) for file systems on which SQLite's locks or its shared memory do not hold. */
const networkFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9P'],
]);
const littleSpaceBytes = 1024 ** 3;
/** SQLite fails a little before the last byte: pages, the WAL and its index grow by pieces. */
const noSpaceBytes = 16 * 1024 ** 2;

export async function checkLog(settings: SqliteSettings, options: SqliteLogOptions, timing: Timing): Promise<readonly Finding[]> {
  const directory = dirname(settings.path);
  const access = directoryFinding(directory);
  if (access) return [access];
  const findings = diskFindings(directory);
  if (!existsSync(settings.path)) return findings;
  try {
    using store = await openStore({ path: settings.path, synchronous: settings.synchronous, busyMs: timing.busy }, options.pipeline);
    guarded(store.path, () => checkStreams(store, options.streams));
    using groups = new GroupsFile(store.path, store.logId, timing);
    const frozen = frozenFinding(store.path, groups, timing);
    if (frozen) findings.push(frozen);
  } catch (error) {
    const { code, message, remedy } = asCrossfadeError(error);
    findings.push({ level: 'error', code, where: 'log', message: `${message}. ${remedy}` });
  }
  return findings;
}

function directoryFinding(directory: string): Finding | undefined {
  const common = { level: 'error', code: 'LOG_UNREACHABLE', where: 'log' } as const;
  if (!existsSync(directory))
    return { ...common, message: `the directory ${directory} of the log does not exist`, fix: `mkdir -p ${directory}` };
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return undefined;
  } catch {
    return { ...common, message: `this user may not write in the directory ${directory} of the log`, fix: `chmod u+rwx ${directory}` };
  }
}

function diskFindings(directory: string): Finding[] {
  const { type, bavail, bsize } = statfsSync(directory);
  const findings: Finding[] = [];
  const network = networkFileSystems.get(type);
  if (network)
    findings.push({
      level: 'warning',
      code: 'LOG_FAILED',
      where: 'log',
      message: `${directory} is on a network file system (${network}): locks do not hold there, and the log may be damaged. Use a disk of this machine`,
    });
  const room = roomFinding(directory, bavail * bsize);
  return room ? [...findings, room] : findings;
}

export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Nothing can be written any more, or soon nothing; undefined with room enough. */
export function roomFinding(directory: string, bytes: number): Finding | undefined {
  if (bytes >= littleSpaceBytes) return undefined;
  const common = { code: 'LOG_FULL', where: 'log' } as const;
  if (bytes >= noSpaceBytes) return { ...common, level: 'warning', message: `less than 1 GB is free in ${directory}` };
  const message = `the disk of ${directory} is full (${Math.floor(bytes / 1024 ** 2)} MB free): neither changes nor signs of life can be written`;
  return { ...common, level: 'error', message };
}

function frozenFinding(path: string, groups: GroupsFile, timing: Timing): Finding | undefined {
  const leader = groups.leader();
  if (!leader || Date.now() - leader.heartbeat_ms < timing.leaderFrozen) return undefined;
  using lock = LeaderLock.take(path);
  if (lock) return undefined;
  const fix = killCommand(leader);
  return {
    level: 'error',
    code: 'LOG_HELD',
    where: 'log',
    message: `a frozen or suspended process holds the leadership: ${describeLeader(leader, timing.leaderFrozen)}`,
    ...(fix !== undefined && { fix }),
  };
}
