/** Everything that must be so before capture can start, all at once, each with the statement that makes it so. */
import type { Position, TableId } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { Finding, Logger } from '../../../src/core/ports.ts';
import { checkCascades } from './check-cascades.ts';
import { checkPrivileges } from './check-privileges.ts';
import { checkRetention } from './check-retention.ts';
import { checkServerId } from './check-server-id.ts';
import { checkSettings } from './check-settings.ts';
import { checkOpenXa } from './check-xa.ts';
import { checkTables } from './check-tables.ts';
import { isAtLeast, Metadata } from '../server/metadata.ts';
import type { MysqlSettings } from '../config.ts';
import { finding } from './finding.ts';
import { planRead } from '../server/plan-read.ts';
import { describeTables } from '../server/information-schema.ts';
import { parsePosition } from '../position/position.ts';

export interface CheckOptions {
  readonly tables: readonly TableId[];
  readonly keys: ReadonlyMap<string, readonly string[]>;
  readonly logger: Logger;
}

export async function checkSource(
  settings: MysqlSettings,
  { tables, keys, logger }: CheckOptions,
  resume?: Position,
): Promise<readonly Finding[]> {
  try {
    await using metadata = await Metadata.open(settings, 'checking');
    const described = await describeTables(metadata, tables);
    return [
      ...(await checkPrivileges(metadata, settings, tables)),
      ...(await checkVersion(metadata)),
      ...(await checkSettings(metadata, tables)),
      ...(await checkServerId(metadata, settings)),
      ...(await checkTables(metadata, tables, described, keys)),
      ...(await checkCascades(metadata, described)),
      ...(await checkTime(metadata, resume)),
      ...(resume === undefined && settings.start === undefined ? await checkOpenXa(metadata) : []),
      ...(resume === undefined ? [] : await checkHistory(metadata, resume, logger)),
    ];
  } catch (error) {
    if (!(error instanceof CrossfadeError)) throw error;
    return [finding('error', error.code, error.message, error.remedy)];
  }
}

async function checkVersion(metadata: Metadata): Promise<Finding[]> {
  const version = await metadata.version();
  if (version.flavor === 'mysql' || isAtLeast(version, 10, 11)) return [];
  const text = `the server is MariaDB ${version.major}.${version.minor}; 10.11 or newer is what this release is tested with`;
  return [finding('warning', 'SOURCE_SETTING', text, 'upgrade the server')];
}

/** What time there is at the server, in UTC whatever its zones are, and what that means for the binlog that it keeps. */
async function checkTime(metadata: Metadata, resume: Position | undefined): Promise<Finding[]> {
  const { nowUs, offsetUs } = await metadata.clock();
  const found = await checkRetention(metadata, resume === undefined ? undefined : parsePosition(resume), nowUs);
  if (Math.abs(offsetUs) < clockWarningUs) return found;
  const apart = `${Math.round(Math.abs(offsetUs) / 1e6)} s ${offsetUs > 0 ? 'ahead of' : 'behind'}`;
  const text = `the server's clock is ${apart} the clock here: the lag that is shown is wrong by that much`;
  return [...found, finding('warning', 'SOURCE_SETTING', text, 'keep both clocks right by NTP')];
}

const clockWarningUs = 2_000_000;

/** Whether capture could go on from where the log is: the same verdicts that would stop it, but for the last transaction's content. */
async function checkHistory(metadata: Metadata, resume: Position, logger: Logger): Promise<Finding[]> {
  const signal = AbortSignal.timeout(replicaWaitMs);
  try {
    await planRead(metadata, parsePosition(resume), logger, signal);
    return [];
  } catch (error) {
    if (error instanceof CrossfadeError) return [finding('error', error.code, error.message, error.remedy)];
    if (!signal.aborted) throw error;
    const fix = 'Wait until the replica has caught up, or connect to the server that the log was written from.';
    return [
      finding('warning', 'SOURCE_HISTORY_DIVERGED', 'the server lacks transactions that the log holds; a replica may only be behind', fix),
    ];
  }
}

/** Shorter than capture waits for a replica that lags: somebody waits for the answer. */
const replicaWaitMs = 3000;
