import { createReadStream } from 'node:fs';
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { ProgramTree } from './apt.ts';
import { unpackPackages } from './apt.ts';
import type { Command } from './command.ts';
import { run } from './command.ts';
import { askMysql } from './mysql.ts';
import { inTree } from './program.ts';
import type { Log } from './progress.ts';
import { withProgress } from './progress.ts';
import type { Place, Recipe } from './server.ts';

const SETTINGS = [
  '--server-id=1',
  '--log-bin=binlog',
  '--binlog-format=ROW',
  '--binlog-row-image=FULL',
  '--binlog-row-metadata=FULL',
  '--gtid-strict-mode=ON',
  '--sync-binlog=1',
  '--innodb-flush-log-at-trx-commit=1',
];

/** The parts of MariaDB's own installation script, in its order; the tables of its name have changed prefix once. */
const SYSTEM_SQL = [
  /^(mysql|mariadb)_system_tables\.sql$/,
  /^(mysql|mariadb)_performance_tables\.sql$/,
  /^(mysql|mariadb)_system_tables_data\.sql$/,
  /^fill_help_tables\.sql$/,
  /^maria_add_gis_sp_bootstrap\.sql$/,
  /^(mysql|mariadb)_sys_schema\.sql$/,
];

async function programs(log: Log): Promise<ProgramTree> {
  return await unpackPackages(
    { name: 'mariadb', suite: 'own', packages: ['mariadb-server-core'], without: /^(perl|libperl|libgdbm|libdb5|gcc-)/ },
    log,
  );
}

function mariadbd(tree: ProgramTree, place: Place, args: readonly string[]): Command {
  const always = ['--no-defaults', `--basedir=${tree.root}/usr`, `--datadir=${place.data}`, `--tmpdir=${place.folder}`];
  return inTree(tree, 'usr/sbin/mariadbd', [...always, ...(process.getuid?.() === 0 ? ['--user=root'] : []), ...args]);
}

/** MariaDB with a full row-based binlog and strict GTIDs; `root` has no password and is let in from this machine only. */
export const mariadb: Recipe = {
  name: 'mariadb',
  url: (port) => `mysql://root@127.0.0.1:${port}`,
  initialise: async (place) => {
    const tree = await programs(place.log);
    const share = join(tree.root, 'usr/share/mysql');
    const names = await readdir(share);
    const script = join(place.folder, 'bootstrap.sql');
    await writeFile(
      script,
      'create database if not exists mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\nSET @skip_auth_anonymous_users=1;\n',
    );
    for (const part of SYSTEM_SQL) {
      const name = names.find((candidate) => part.test(candidate));
      if (!name) throw new Error(`mariadb's packages hold no file like ${part.source}`);
      await appendFile(script, `${await readFile(join(share, name), 'utf8')}\n`);
    }
    const quiet = ['--bootstrap', '--log-warnings=0', '--enforce-storage-engine=', '--max-allowed-packet=8M', '--net-buffer-length=16K'];
    await withProgress(
      place.log,
      () => 'mariadb: filling its data folder',
      () => run({ ...mariadbd(tree, place, quiet), input: () => createReadStream(script) }),
    );
    await rm(script);
  },
  command: async (place) => {
    const own = [`--port=${place.port}`, '--bind-address=127.0.0.1', '--socket=mysql.sock', '--pid-file=mysqld.pid'];
    return mariadbd(await programs(place.log), place, [...SETTINGS, ...own, ...place.extraArgs]);
  },
  ask: askMysql,
  stopSignal: 'SIGTERM',
  container: {
    image: 'mariadb:11.8',
    port: 3306,
    environment: () => ({ MARIADB_ALLOW_EMPTY_ROOT_PASSWORD: 'yes' }),
    command: (extraArgs) => [...SETTINGS, ...extraArgs],
  },
};
