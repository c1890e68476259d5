import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { lineForSuite, machineSources, parseOsRelease } from './apt-sources.ts';
import { cached, cacheRoot, withLock } from './cache.ts';
import { run } from './command.ts';
import type { Log } from './progress.ts';
import { withProgress } from './progress.ts';
import type { Archive } from './unpack.ts';
import { megabytes, unpackArchives } from './unpack.ts';

/** Which packages make up one server's programs. */
export interface AptClosure {
  readonly name: string;
  /** A Debian suite, or `own` for the release that this machine runs. */
  readonly suite: string;
  readonly packages: readonly string[];
  /** Packages of the closure that the programs never touch (scripts' interpreters and the like). */
  readonly without: RegExp;
}

/** A folder of unpacked packages, and whose dynamic loader starts its programs. */
export interface ProgramTree {
  readonly root: string;
  readonly loader: 'own' | 'host';
}

/** How long a package list stays good; Debian's mirrors drop an unstable package's old archive within hours, not minutes. */
const FRESH_MINUTES = 10;

const HOST_LIBC = /^(libc6|libc-bin|libc-gconv-modules-extra)_/;

/**
 * Unpacks packages with everything that they need into the cache, without installing anything: a private apt with an
 * empty list of installed packages downloads the whole closure, `dpkg-deb` unpacks it.
 * @throws when this machine is no Debian, or its mirror does not answer.
 */
export async function unpackPackages(closure: AptClosure, log: Log): Promise<ProgramTree> {
  const { id, codename } = parseOsRelease(textOrEmpty('/etc/os-release'));
  const suite = closure.suite === 'own' ? codename : closure.suite;
  const loader = suite === codename ? 'host' : 'own';
  const key = [suite, closure.packages, closure.without.source, process.arch, codename, 1];
  const root = await cached(closure.name, key, log, async (into) => {
    if (!existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg-deb')) throw new Error('this machine has no apt-get and dpkg-deb');
    const line = lineForSuite(machineSources(), codename, suite);
    if (id !== 'debian' || !line) throw new Error(`no Debian mirror in this machine's apt configuration (it runs "${id} ${codename}")`);
    const archives = await withLock(`apt-${suite}`, log, async () => await download(closure, suite, line, log));
    // With the host's loader the host's C library must serve too: loader and library of two builds do not mix.
    const unwanted = loader === 'host' ? [closure.without, HOST_LIBC] : [closure.without];
    const wanted = archives.filter(({ path }) => !unwanted.some((pattern) => pattern.test(basename(path))));
    await unpackArchives(closure.name, wanted, into, log);
    // The archives have served: the unpacked programs are what the cache keeps.
    for (const archive of archives) await rm(archive.path, { force: true });
  });
  return { root, loader };
}

async function download(closure: AptClosure, suite: string, line: string, log: Log): Promise<Archive[]> {
  const { config, archives } = await privateApt(suite, line);
  const apt = (...args: string[]) =>
    run({ file: 'apt-get', args: ['-c', config, '-y', ...args], env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' } });
  await refreshLists(closure, suite, config, apt, log);
  const plan = await apt('install', '--print-uris', '--reinstall', ...closure.packages);
  // Moved out of apt's folder afterwards, so that the next download, under the same lock, cannot touch them.
  const own = join(cacheRoot(), 'apt', `${closure.name}-archives`);
  const wanted = [...plan.matchAll(/^'[^']+' (\S+\.deb) (\d+)/gm)].map(([, file = '', bytes]) => ({
    path: join(own, file),
    bytes: Number(bytes),
  }));
  const size = megabytes(wanted);
  log(`${closure.name}: downloading ${size} MB in ${wanted.length} packages`);
  await withProgress(
    log,
    () => `${closure.name}: downloading ${size} MB`,
    () => apt('install', '--download-only', ...closure.packages),
  );
  await rm(own, { recursive: true, force: true });
  await mkdir(own, { recursive: true });
  for (const { path } of wanted) await rename(join(archives, basename(path)), path);
  return wanted;
}

/** Writes the configuration of an apt that knows this machine's proxies and keys but keeps every file in the cache. */
async function privateApt(suite: string, line: string): Promise<{ config: string; archives: string }> {
  const folder = join(cacheRoot(), 'apt', suite);
  const archives = join(folder, 'cache', 'archives');
  // What a killed download left would be missing from the plan of this one.
  await rm(archives, { recursive: true, force: true });
  await mkdir(join(folder, 'state', 'lists', 'partial'), { recursive: true });
  await mkdir(join(archives, 'partial'), { recursive: true });
  await writeFile(join(folder, 'status'), '');
  await writeFile(join(folder, 'sources.list'), `${line}\n`);
  const settings: Record<string, string> = {
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Etc::SourceList': join(folder, 'sources.list'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'APT::Keep-Downloaded-Packages': 'true',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '20',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled': 'false',
    'Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled': 'false',
    'Acquire::IndexTargets::deb::DEP-11-icons-hidpi::DefaultEnabled': 'false',
  };
  // The machine's hooks clean or index the system's own folders after an update: none of a private apt's business.
  const hooks = ['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success'];
  const lines = [...hooks.map((hook) => `#clear ${hook};`), ...Object.entries(settings).map(([name, value]) => `${name} "${value}";`)];
  const config = join(folder, 'apt.conf');
  await writeFile(config, `${lines.join('\n')}\n`);
  return { config, archives };
}

/** Reads the suite's package list anew, unless another closure of the same run has just done so. */
async function refreshLists(
  closure: AptClosure,
  suite: string,
  config: string,
  apt: (...args: string[]) => Promise<string>,
  log: Log,
): Promise<void> {
  const stamp = `${config}.updated`;
  if (existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < FRESH_MINUTES * 60_000) return;
  await withProgress(
    log,
    () => `${closure.name}: reading the package list of ${suite}`,
    () => apt('update', '--error-on=any'),
  );
  await writeFile(stamp, '');
}

function textOrEmpty(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
