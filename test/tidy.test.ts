/** The house rules of ARCHITECTURE.md, read off the files themselves: who imports whom, how long things are, what is where. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '../src/core/errors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = ['src', 'connectors', 'transforms', 'stack', 'bench', 'demo', 'test'];

interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** Without comments, so that a rule is not broken by a sentence about it. */
  readonly code: string;
  /** Packages as they are named, files as paths from the root. */
  readonly imports: readonly string[];
}

const files = folders
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`))
  .filter((path) => path.endsWith('.ts'))
  .map(read);
const product = files.filter(({ path }) => /^(src|connectors|transforms)\//.test(path));

function read(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1');
  return { path, text, code, imports: importsOf(path, code) };
}

function importsOf(path: string, code: string): string[] {
  const statement =
    /^\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|\bnew URL\(\s*['"]([^'"]+\.ts)['"]/gm;
  return [...code.matchAll(statement)].map(([, a, b, c, d]) => {
    const name = a ?? b ?? c ?? d ?? '';
    return name.startsWith('.') ? normalize(join(dirname(path), name)) : name;
  });
}

/** Every import of `from` that `allowed` does not let pass, as `file → import`. */
function offences(from: readonly SourceFile[], allowed: (name: string, file: SourceFile) => boolean): string[] {
  return from.flatMap((file) => file.imports.filter((name) => !allowed(name, file)).map((name) => `${file.path} → ${name}`));
}
const inside = (folder: string) => files.filter(({ path }) => path.startsWith(`${folder}/`));
const isPackage = (name: string, of: string) => name === of || name.startsWith(`${of}/`);

describe('who imports whom', () => {
  test('the reader of import lines reads them', () => {
    const found = importsOf(
      'src/runtime/x.ts',
      "import { a,\n b } from '../core/a.ts';\nimport type { c } from 'pg';\nimport 'd';\nexport { e } from \"./e.ts\";\nawait import('./f.ts')",
    );
    expect(found).toEqual(['src/core/a.ts', 'pg', 'd', 'src/runtime/e.ts', 'src/runtime/f.ts']);
    expect(files.length).toBeGreaterThan(50);
  });

  test('src/core imports only itself', () => {
    expect(offences(inside('src/core'), (name) => name.startsWith('src/core/') || name === 'node:diagnostics_channel')).toEqual([]);
  });

  test('a connector imports core, itself, Node, its own driver and how TLS is spelled', () => {
    const drivers: Readonly<Record<string, readonly string[]>> = {
      mysql: ['@vlasky/zongji', 'mysql2'],
      postgres: ['pg'],
      redis: ['ioredis'],
      kafka: ['kafkajs'],
      sqlite: [],
      memory: [],
    };
    const found = offences(inside('connectors'), (name, { path }) => {
      const own = path.split('/')[1] ?? '';
      if (name === 'node:sqlite') return own === 'sqlite';
      if (name === 'zod') return basename(path) === 'config.ts';
      // The one spelling of TLS; a copy in each connector would drift apart.
      if (name === 'src/config-tls.ts') return true;
      return (
        name.startsWith('node:') ||
        name.startsWith('src/core/') ||
        name.startsWith(`connectors/${own}/`) ||
        (drivers[own] ?? []).some((driver) => isPackage(name, driver))
      );
    });
    expect(found).toEqual([]);
  });

  test('the rooms of connectors/mysql: position and values know nobody, the stream knows all but the checks', () => {
    const mysql = 'connectors/mysql/';
    const open: Readonly<Record<string, readonly string[]>> = {
      position: [],
      statements: [],
      values: [],
      charsets: ['values'],
      json: ['values'],
      rows: ['charsets', 'json', 'values'],
      transaction: ['position', 'statements', 'rows'],
      server: ['charsets', 'position', 'rows'],
      check: ['server', 'charsets', 'rows', 'position'],
      stream: ['position', 'statements', 'values', 'charsets', 'rows', 'transaction', 'server'],
    };
    const rooms = inside('connectors/mysql').filter(({ path }) => path.split('/').length > 3);
    expect([...new Set(rooms.map(({ path }) => path.split('/')[2] as string))].sort()).toEqual(Object.keys(open).sort());
    const found = offences(rooms, (name, { path }) => {
      if (!name.startsWith(mysql)) return true;
      const own = path.split('/')[2] as string;
      const [room = '', file] = name.slice(mysql.length).split('/');
      // What all rooms may know: how errors and settings are spelled.
      if (file === undefined) return ['errors.ts', 'config.ts', 'crc32.ts'].includes(room);
      return room === own || (open[own] ?? []).includes(room);
    });
    expect(found).toEqual([]);
  });

  test('a transform imports core, its siblings and zod', () => {
    expect(
      offences(inside('transforms'), (name) => name.startsWith('src/core/') || name.startsWith('transforms/') || name === 'zod'),
    ).toEqual([]);
  });

  test('src/runtime imports core and itself; pino only in observe.ts, prom-client only in metrics.ts', () => {
    const found = offences(inside('src/runtime'), (name, { path }) => {
      if (isPackage(name, 'pino')) return path === 'src/runtime/observe.ts';
      if (isPackage(name, 'prom-client')) return path === 'src/runtime/metrics.ts';
      return name.startsWith('src/core/') || name.startsWith('src/runtime/') || name.startsWith('node:');
    });
    expect(found).toEqual([]);
  });

  test("connectors and transforms are imported by wire.ts and the entry of the log's thread, and their schemas by the configuration", () => {
    const found = offences(inside('src'), (name, { path }) => {
      if (!/^(connectors|transforms)\//.test(name) || path === 'src/wire.ts' || path === 'src/log-thread.ts') return true;
      return /^src\/config[\w-]*\.ts$/.test(path) && (/^connectors\/\w+\/config\.ts$/.test(name) || name === 'transforms/all.ts');
    });
    expect(found).toEqual([]);
  });

  test('zod stands in configuration files, a driver nowhere in src, pino in observe.ts, prom-client in metrics.ts', () => {
    const found = offences(inside('src'), (name, { path }) => {
      if (name === 'zod') return /^src\/config[\w-]*\.ts$/.test(path);
      if (name === 'yaml') return path === 'src/config-yaml.ts';
      if (name === '@node-rs/crc32') return path === 'src/codec.ts';
      if (name === 'pino') return path === 'src/runtime/observe.ts';
      if (name === 'prom-client') return path === 'src/runtime/metrics.ts';
      return !['pg', 'mysql2', 'ioredis', 'kafkajs', '@vlasky/zongji', 'node:sqlite'].some((driver) => isPackage(name, driver));
    });
    expect(found).toEqual([]);
  });

  test('the product imports nothing of stack, tests, demo or bench', () => {
    expect(offences(product, (name) => !/^(stack|test|demo|bench)\//.test(name))).toEqual([]);
  });

  test('nothing in the product imports itself round about', () => {
    // Types alone are gone when a file runs: a port may name a format that speaks of the port.
    const importsOfPath = new Map(product.map(({ path, code }) => [path, importsOf(path, code.replace(/^import type [^;]*;$/gm, ''))]));
    const circles: string[] = [];
    const done = new Set<string>();
    const walk = (path: string, way: readonly string[]) => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' → '));
      if (way.includes(path) || done.has(path)) return;
      for (const name of importsOfPath.get(path) ?? []) walk(name, [...way, path]);
      done.add(path);
    };
    for (const { path } of product) walk(path, []);
    expect(circles).toEqual([]);
  });

  test('files are imported with their ending', () => {
    expect(
      offences(files, (name) => !/^(src|connectors|transforms|stack|bench|demo|test)\//.test(name) || /\.(ts|js|json|lua)$/.test(name)),
    ).toEqual([]);
  });
});

/** Lines of the product that a pattern finds, but in the files named. */
function lines(from: readonly SourceFile[], pattern: RegExp, allowed: readonly string[]): string[] {
  return from
    .filter(({ path }) => !allowed.includes(path))
    .flatMap(({ path, code }) => code.split('\n').flatMap((line, at) => (pattern.test(line) ? [`${path}:${at + 1} ${line.trim()}`] : [])));
}

describe('one place for each thing', () => {
  test('only src/config.ts reads the environment', () => {
    expect(lines(product, /\bprocess\.env\b|\bloadEnvFile\b/, ['src/config.ts'])).toEqual([]);
  });
  test('only src/main.ts ends the process or listens to signals', () => {
    expect(lines(product, /\bprocess\.(exit\(|abort\(|reallyExit|exitCode\s*=)|process\.on(ce)?\(\s*'SIG/, ['src/main.ts'])).toEqual([]);
  });
  test('nothing in the product writes to the console', () => {
    expect(lines(product, /\bconsole\./, [])).toEqual([]);
  });
  test('no line of src asks which kind of target it has: a third one would silently be taken for the other', () => {
    const kind = `['"](postgres|redis)['"]`;
    expect(lines(inside('src'), new RegExp(`${kind}\\s+in\\b|[=!]==?\\s*${kind}|${kind}\\s*[=!]==?|case ${kind}`), [])).toEqual([]);
  });
  test('no remedy orders what no release can do yet', () => {
    expect(lines(product, /first copy|fresh copy/, [])).toEqual([]);
  });
  test('no default exports but where a tool asks for one', () => {
    expect(
      lines(
        files,
        /^export default\b/,
        files.map(({ path }) => path).filter((path) => /config\.ts$|global-setup\.ts$/.test(path)),
      ),
    ).toEqual([]);
  });
  test('no file is a drawer for everything', () => {
    const drawers = /^(index|utils?|common|helpers?|types|misc|shared|constants)\.ts$/;
    expect(
      files.map(({ path }) => path).filter((path) => drawers.test(basename(path)) || /\/(utils?|common|helpers?|types)\//.test(path)),
    ).toEqual([]);
  });
  test('every error code has its heading in the runbook, and every heading its code', () => {
    const headings = [...readFileSync(join(root, 'docs/runbook.md'), 'utf8').matchAll(/^### (\S+)$/gm)].map(([, code]) => code);
    expect(new Set(headings)).toEqual(new Set(errorCodes));
    expect(headings).toHaveLength(errorCodes.length);
  });
  test('no file names the machine it was written on', () => {
    const home = new RegExp(`(^|[^\\w.])/(${Buffer.from('d29ya3xyb290', 'base64').toString()})/`, 'm');
    expect(files.filter(({ text }) => home.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('size', () => {
  test('no file is longer than 300 lines', () => {
    const long = files.map(({ path, text }) => ({ path, count: text.trimEnd().split('\n').length })).filter(({ count }) => count > 300);
    expect(long.map(({ path, count }) => `${path}: ${count}`)).toEqual([]);
  });

  test('no function is longer than 70 lines', () => {
    // The callbacks of describe are no functions in this sense, so the tests themselves are left out.
    const long = files
      .filter(({ path }) => !path.endsWith('.test.ts') && !path.endsWith('.contract.ts'))
      .flatMap(({ path, text }) => longFunctions(text, 70).map((where) => `${path}:${where}`));
    expect(long).toEqual([]);
  });

  test('the counter of function lines counts', () => {
    const body = Array.from({ length: 71 }, (_, at) => `    x(${at});`).join('\n');
    const openings = [
      '  async f(a: string): Promise<void> {',
      '  const f = (a) => {',
      '  function f() {',
      '  ): Promise<void> {',
      '  static #f<T>(a: T) {',
    ];
    expect(openings.filter((opening) => longFunctions(`${opening}\n${body}\n  }`, 70).length === 1)).toEqual(openings);
    expect(openings.filter((opening) => longFunctions(`${opening}\n    x();\n  }`, 70).length > 0)).toEqual([]);
    expect(longFunctions(`  for (const a of b) {\n${body}\n  }\n  class A {\n${body}\n  }`, 70)).toEqual([]);
  });
});

/** The files are formatted, so a function ends at the first line with its own indentation that begins with a brace. */
function longFunctions(text: string, limit: number): string[] {
  const all = text.split('\n');
  return all.flatMap((line, start) => {
    const opening =
      /^( *)(?!\s|if\b|else\b|for\b|while\b|switch\b|try\b|catch\b|do\b|\} )(?:.*\bfunction\b.*|.*=>|(?:(?:static|async|override|get|set|export) |\*)*[#\w[\].]+(?:<.*>)?\(.*\)(?:: .*)?|\)(?:: .*)?) \{$/.exec(
        line,
      );
    if (!opening) return [];
    const indent = opening[1] ?? '';
    const end = all.findIndex((other, at) => at > start && other.startsWith(`${indent}}`));
    const count = end - start + 1;
    return end >= 0 && count > limit ? [`${start + 1} (${count} lines)`] : [];
  });
}
