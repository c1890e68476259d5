import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { makeFolder } from '../../demo/folder.ts';

test('a demo removes what a killed demo left behind, and nobody else’s folder', () => {
  const parent = mkdtempSync(join(tmpdir(), 'crossfade-sweep-'));
  try {
    const folder = (name: string, pid?: number) => {
      const path = join(parent, name);
      mkdirSync(path);
      if (pid !== undefined) writeFileSync(join(path, '.demo.pid'), String(pid));
      return path;
    };
    const dead = folder('crossfade-demo-dead', spawnSync(process.execPath, ['-e', '']).pid);
    const old = folder('crossfade-demo-old');
    utimesSync(old, 0, 0);
    const kept = [folder('crossfade-demo-alive', process.pid), folder('crossfade-demo-new'), folder('other')];
    using made = makeFolder(parent);
    expect([dead, old].filter((path) => existsSync(path))).toEqual([]);
    expect([...kept, made.path].filter((path) => !existsSync(path))).toEqual([]);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});
