import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { unpackPackages } from './apt.ts';
import { cached, cacheRoot } from './cache.ts';
import type { Command } from './command.ts';
import { run } from './command.ts';
import { inTree, installed } from './program.ts';
import type { Log } from './progress.ts';
import { withProgress } from './progress.ts';
import { javaTrustStore } from './trust-store.ts';

const OLDEST_JAVA = 17;
const WITHOUT = /^(perl|libperl|libgdbm|libdb5|gcc-|libllvm|systemd|libsystemd-shared|adduser|passwd)/;

/** The command that runs Java with `args`: this machine's where it is new enough, else one unpacked into the cache. */
export async function java(args: readonly string[], log: Log): Promise<Command> {
  const own = installed('/usr/bin/java');
  if (own && (await versionOf(own)) >= OLDEST_JAVA) return { file: own, args };
  const tree = await unpackPackages(
    { name: 'jre', suite: 'own', packages: ['default-jre-headless', 'ca-certificates'], without: WITHOUT },
    log,
  );
  const machines = join(tree.root, 'usr/lib/jvm');
  const name = readdirSync(machines).find((entry) => /^java-\d+-openjdk-/.test(entry));
  if (!name) throw new Error(`no Java in ${machines}`);
  return inTree(tree, `usr/lib/jvm/${name}/bin/java`, ['-Djavax.net.ssl.trustStoreType=JKS', ...args]);
}

async function versionOf(program: string): Promise<number> {
  const said = await run({ file: program, args: ['-version'] }).catch(() => '');
  return Number(/version "(?:1\.)?(\d+)/.exec(said)?.[1] ?? 0);
}

/** A folder with the jars of `artifacts` (`group:artifact:version`) and of everything that they depend on, fetched by Maven. */
export async function jars(name: string, artifacts: readonly string[], log: Log): Promise<string> {
  const folder = await cached(`${name}-jars`, artifacts, log, async (into) => {
    const pom = join(into, 'pom.xml');
    await writeFile(pom, pomOf(name, artifacts));
    const args = [
      '-B',
      '-q',
      '-f',
      pom,
      `-Dmaven.repo.local=${join(cacheRoot(), 'm2')}`,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${into}/libs`,
    ];
    const maven = await mavenCommand(args, into, log);
    await withProgress(
      log,
      () => `${name}: fetching its jars with Maven`,
      () => run(maven),
    );
  });
  return join(folder, 'libs');
}

async function mavenCommand(args: readonly string[], scratch: string, log: Log): Promise<Command> {
  const own = installed('/usr/bin/mvn');
  if (own) return { file: own, args, cwd: scratch };
  const { root } = await unpackPackages(
    { name: 'maven', suite: 'own', packages: ['maven'], without: new RegExp(`${WITHOUT.source}|^openjdk-`) },
    log,
  );
  const home = join(root, 'usr/share/maven');
  const boot = readdirSync(join(home, 'boot')).map((jar) => realpathSync(join(home, 'boot', jar)));
  // The start script of the package names the system's folders; this is what it does, with the unpacked ones.
  const properties = {
    'classworlds.conf': join(root, 'etc/maven/m2.conf'),
    'maven.home': home,
    'maven.conf': join(root, 'etc/maven'),
    'maven.multiModuleProjectDirectory': scratch,
    ...(await trustStore(scratch)),
  };
  const defines = Object.entries(properties).map(([key, value]) => `-D${key}=${value}`);
  const more = (process.env['MAVEN_OPTS'] ?? '').split(/\s+/).filter((word) => word !== '');
  return {
    ...(await java([...more, '-cp', boot.join(':'), ...defines, 'org.codehaus.plexus.classworlds.launcher.Launcher', ...args], log)),
    cwd: scratch,
  };
}

/** The settings that give an unpacked JRE this machine's certificates; none where the machine has a store of Java's kind. */
async function trustStore(scratch: string): Promise<Record<string, string>> {
  const store = '/etc/ssl/certs/java/cacerts';
  if (existsSync(store)) return { 'javax.net.ssl.trustStore': store };
  const bundle = '/etc/ssl/certs/ca-certificates.crt';
  if (!existsSync(bundle)) return {};
  const path = join(scratch, 'trust.jks');
  await writeFile(path, javaTrustStore(readFileSync(bundle, 'utf8')));
  return { 'javax.net.ssl.trustStore': path };
}

function pomOf(name: string, artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group = '', id = '', version = ''] = artifact.split(':');
    return `<dependency><groupId>${group}</groupId><artifactId>${id}</artifactId><version>${version}</version></dependency>`;
  });
  return `<project><modelVersion>4.0.0</modelVersion><groupId>crossfade.stack</groupId><artifactId>${name}</artifactId>
<version>1</version><packaging>pom</packaging><dependencies>${dependencies.join('\n')}</dependencies></project>\n`;
}
