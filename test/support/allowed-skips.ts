/** Tests that may be skipped, and why. Any other skip fails the run: a promise whose test nobody runs is none. */
export interface TestResult {
  /** Of the file, absolute or from the root. */
  readonly name: string;
  readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
}

interface AllowedSkip {
  readonly file: string;
  /** A part of the full name; absent: the whole file. */
  readonly title?: string;
  readonly why: string;
  /** A variable that takes the reason away. */
  readonly unless?: string;
}

const allowed: readonly AllowedSkip[] = [
  ...['mysql', 'mariadb'].map((flavor) => ({
    file: `test/contract/source-${flavor}.test.ts`,
    title: 'a server that lost what was read stops with SOURCE_HISTORY_DIVERGED',
    why: 'a real server cannot be made to lose what it committed; the source in memory can',
  })),
  {
    file: 'test/integration/mysql-history.test.ts',
    title: 'a frozen server is silent, and that is an error to retry',
    why: 'only a server that runs natively can be frozen; in a container it cannot',
  },
  {
    file: 'test/contract/log-kafka-outage.test.ts',
    title: 'a full disk',
    why: 'only root may make a file system that is small enough to fill',
  },
  {
    file: 'test/integration/postgres-extensions.test.ts',
    why: 'needs a Postgres with PostGIS and pgvector, which CROSSFADE_TEST_EXTENSIONS names',
    unless: 'CROSSFADE_TEST_EXTENSIONS',
  },
];

/** What was not run, each as a line for people; `refused` are those that no entry of the list allows. */
export function skipsOf(
  files: readonly TestResult[],
  environment: Readonly<Record<string, string | undefined>>,
): { readonly lines: readonly string[]; readonly refused: number } {
  const skipped = files.flatMap(({ name, assertionResults }) =>
    assertionResults.filter(({ status }) => status !== 'passed' && status !== 'failed').map(({ fullName }) => ({ name, fullName })),
  );
  const judged = skipped.map(({ name, fullName }) => {
    const entry = allowed.find(
      ({ file, title, unless }) =>
        name.endsWith(file) && fullName.includes(title ?? '') && (unless === undefined || environment[unless] === undefined),
    );
    const file = name.slice(Math.max(0, name.lastIndexOf('/test/') + 1));
    return { entry, line: `skipped: ${file}: ${fullName} (${entry?.why ?? 'NOT ALLOWED: see test/support/allowed-skips.ts'})` };
  });
  return { lines: judged.map(({ line }) => line), refused: judged.filter(({ entry }) => entry === undefined).length };
}
