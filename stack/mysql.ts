import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { createConnection } from 'mysql2/promise';

import { unpackPackages } from './apt.ts';
import { cached } from './cache.ts';
import type { Command } from './command.ts';
import { run } from './command.ts';
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
  '--gtid-mode=ON',
  '--enforce-gtid-consistency=ON',
  // What a production source runs with: a commit that was answered survives a crash, in the binlog as in the tables.
  '--sync-binlog=1',
  '--innodb-flush-log-at-trx-commit=1',
];

async function mysqld(data: string, args: readonly string[], log: Log): Promise<Command> {
  // Debian releases carry no MySQL of their own; unstable does, and its libraries come with it.
  const tree = await unpackPackages(
    {
      name: 'mysql',
      suite: 'sid',
      packages: ['mysql-server-core'],
      without: /^(perl|libperl|libgdbm|libdb5|gcc-|libc-gconv|openssl-provider)/,
    },
    log,
  );
  const always = [
    '--no-defaults',
    '--mysqlx=OFF',
    '--secure-file-priv=NULL',
    `--basedir=${tree.root}/usr`,
    `--lc-messages-dir=${tree.root}/usr/share/mysql`,
    `--datadir=${data}`,
  ];
  return inTree(tree, 'usr/sbin/mysqld', [...always, ...(process.getuid?.() === 0 ? ['--user=root'] : []), ...args]);
}

/** MySQL 9 with a full row-based binlog and GTIDs; `root` has no password and is let in from this machine only. */
export const mysql: Recipe = {
  name: 'mysql',
  url: (port) => `mysql://root@127.0.0.1:${port}`,
  initialise: async (place) => {
    const template = await filledOnce(place);
    await cp(template, place.data, { recursive: true });
    // The server makes up a new identity when it finds none; two servers with one identity break replication.
    await rm(join(place.data, 'auto.cnf'), { force: true });
  },
  command: (place) => {
    // Relative to the data folder: a socket's path has room for about a hundred characters only.
    const own = [`--port=${place.port}`, '--bind-address=127.0.0.1', '--socket=mysql.sock', '--pid-file=mysqld.pid'];
    return mysqld(place.data, [...SETTINGS, ...own, ...place.extraArgs], place.log);
  },
  ask: askMysql,
  stopSignal: 'SIGTERM',
  container: {
    image: 'mysql:9',
    port: 3306,
    environment: () => ({ MYSQL_ALLOW_EMPTY_PASSWORD: 'yes' }),
    command: (extraArgs) => [...SETTINGS, '--mysqlx=OFF', ...extraArgs],
  },
};

/** A data folder of a server that never ran, in the cache: filling one takes three seconds, copying it a third of one. */
async function filledOnce(place: Place): Promise<string> {
  const forGood = place.extraArgs.filter((arg) => arg.startsWith('--lower-case-table-names'));
  const { file, args: programArgs } = await mysqld('', forGood, place.log);
  const folder = await cached('mysql-data', [file, programArgs], place.log, async (into) => {
    const command = await mysqld(join(into, 'data'), ['--initialize-insecure', ...forGood], place.log);
    await withProgress(
      place.log,
      () => 'mysql: filling its data folder',
      () => run(command),
    );
  });
  return join(folder, 'data');
}

/** Logs in and asks one question, over the protocol that MySQL and MariaDB share; rejects until that works. */
export async function askMysql(url: string): Promise<void> {
  const connection = await createConnection({ uri: url, connectTimeout: 2000 });
  try {
    await connection.query('SELECT 1');
  } finally {
    connection.destroy();
  }
}
