import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { GroupsFile } from '../../connectors/sqlite/groups.ts';
import { Membership } from '../../connectors/sqlite/membership.ts';
import type { Logger } from '../../src/core/ports.ts';

test('on a full disk signs of life are tried at their own pace, and it is said once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-membership-'));
  const said: string[] = [];
  const say = (_: unknown, message: string) => void said.push(message);
  const logger = { info: say, warn: say, debug: say, error: say } as unknown as Logger;
  const disk = { isFull: false, tries: 0 };
  const groups = {
    path: join(folder, 'groups'),
    join: () => undefined,
    beat: () => {
      disk.tries += 1;
      if (disk.isFull) throw new Error('disk full');
      return true;
    },
    share: () => ['a#0'],
    owned: () => new Set(['a#0']),
    own: () => undefined,
    leave: () => undefined,
  } as unknown as GroupsFile;
  const timing = { heartbeat: 20, memberExpiry: 60_000 } as unknown as ConstructorParameters<typeof Membership>[0]['timing'];
  try {
    using membership = new Membership({ groups, group: 'g', partitions: ['a#0'], timing, logger, changed: () => undefined });
    membership.claim(['a#0']);
    disk.isFull = true;
    disk.tries = 0;
    const beganMs = performance.now();
    // A reader that is busy asks on every turn of its loop.
    for (let turn = 0; disk.tries < 3; turn += 1) {
      membership.refresh();
      if (turn % 100 === 0) await sleep(1);
    }
    expect(performance.now() - beganMs).toBeGreaterThan(30);
    expect(said).toEqual([expect.stringContaining('could not be written')]);
    expect(membership.holds).toBe(true);
    disk.isFull = false;
    while (said.length < 2) await sleep(5);
    expect(said[1]).toContain('written again');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
