/** Whether the server keeps its binlog long enough: in general, and for where the log stands. */
import type { Finding } from '../../../src/core/ports.ts';
import { setStatement } from './check-settings.ts';
import { isAtLeast, type Metadata } from '../server/metadata.ts';
import { finding } from './finding.ts';
import type { MysqlPosition } from '../position/position.ts';

const hourSeconds = 3600;
const daySeconds = 24 * hourSeconds;
const weekSeconds = 7 * daySeconds;
/** An outage over night must not cost the position. */
const leastSeconds = daySeconds;

/** `resume`: where the log stands; `nowUs`: the server's clock. */
export async function checkRetention(metadata: Metadata, resume: MysqlPosition | undefined, nowUs: number): Promise<Finding[]> {
  const keptSeconds = await retentionSeconds(metadata);
  if (keptSeconds === undefined) return [];
  const found: Finding[] = [];
  const version = await metadata.version();
  // MariaDB has known the finer one since 10.6.
  const fix = (seconds: number) =>
    version.flavor === 'mysql' || isAtLeast(version, 10, 6)
      ? setStatement(version.flavor, 'binlog_expire_logs_seconds', String(seconds))
      : setStatement(version.flavor, 'expire_logs_days', String(Math.ceil(seconds / daySeconds)));
  if (keptSeconds < leastSeconds) {
    found.push(
      finding(
        'warning',
        'SOURCE_SETTING',
        `the server deletes its binlog after ${duration(keptSeconds)}: a capture that is down for longer cannot go on`,
        fix(weekSeconds),
      ),
    );
  }
  // A position of unknown time (a place that a person named) says nothing.
  if (resume === undefined || resume.throughUs === 0) return found;
  const behindSeconds = (nowUs - resume.throughUs) / 1e6;
  if (behindSeconds > keptSeconds / 2) {
    found.push(
      finding(
        'warning',
        'SOURCE_SETTING',
        `the log stands ${duration(behindSeconds)} behind, and the server deletes its binlog after ${duration(keptSeconds)}: what capture still needs may go before it is read`,
        fix(Math.max(weekSeconds, Math.ceil((behindSeconds * 2) / daySeconds) * daySeconds)),
      ),
    );
  }
  return found;
}

/** Undefined: for ever, or by size, which says nothing of time. */
async function retentionSeconds(metadata: Metadata): Promise<number | undefined> {
  const values = await metadata.variables(['binlog_expire_logs_seconds', 'expire_logs_days', 'binlog_expire_logs_auto_purge']);
  if (values.get('binlog_expire_logs_auto_purge') === 'OFF') return undefined;
  const seconds = Number(values.get('binlog_expire_logs_seconds') ?? 0) || Number(values.get('expire_logs_days') ?? 0) * daySeconds;
  return seconds > 0 ? seconds : undefined;
}

function duration(seconds: number): string {
  if (seconds >= 2 * daySeconds) return `${Math.round(seconds / daySeconds)} days`;
  if (seconds >= 2 * hourSeconds) return `${Math.round(seconds / hourSeconds)} hours`;
  return seconds >= 120 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds)} seconds`;
}
