/** `npm run bench`: see usage. */
import { parseArgs } from 'node:util';

import { tableLines, type Figure } from './figure.ts';
import { Ahead, figureNames, isFigureName, isWhole } from './plan.ts';
import { thisMachine, writeReadme } from './readme.ts';
import { runFigures } from './run.ts';
import { Say } from './say.ts';

const usage = `usage: npm run bench -- [--json] [--scale X] [--only NAME,...] [--seconds N] [--no-readme]

Loads two data sets into a MySQL of its own and measures crossfade's stages and
the whole way; what arrives is compared with the source in full. From scale 1 on
floors are held. A run with all figures, scale 1 and 10 seconds, and no other,
writes the table in README.md.

  --json       one JSON object a figure on standard output
  --scale X    0.1 is a tenth of the rows: for a quick look, not for figures
  --only       ${figureNames.join(', ').replaceAll(/(.{1,62}),(?: |$)/g, '$1,\n               ')}
  --seconds N  how long each of the three windows is in which latency is measured,
               at each rate; 10
  --no-readme  leaves README.md as it is`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      json: { type: 'boolean', default: false },
      scale: { type: 'string', default: '1' },
      only: { type: 'string' },
      seconds: { type: 'string', default: '10' },
      readme: { type: 'boolean', default: true },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const names = values.only?.split(',') ?? figureNames;
  const only = names.filter(isFigureName);
  const unknown = names.filter((name) => !isFigureName(name));
  const scale = Number(values.scale);
  const seconds = Number(values.seconds);
  if (values.help || unknown.length > 0 || !(scale > 0 && scale <= 10) || !(seconds > 0)) {
    process.stderr.write(`${unknown.length > 0 ? `no such figure: ${unknown.join(', ')}\n\n` : ''}${usage}\n`);
    return values.help ? 0 : 2;
  }
  const say = new Say(process.stderr);
  const ahead = new Ahead(only, scale);
  say.ahead = () => ahead.text();
  const figures: Figure[] = [];
  const add = (figure: Figure) => {
    figures.push(figure);
    if (values.json) process.stdout.write(`${JSON.stringify(figure)}\n`);
    else say.line(tableLines([figure])[0] ?? '');
  };
  await runFigures({ scale, only, latencySeconds: seconds, say, ahead, add });
  if (!values.json) process.stdout.write(`\n${tableLines(figures).join('\n')}\n`);
  if (values.readme && isWhole({ only, scale, latencySeconds: seconds })) {
    writeReadme(new URL('../README.md', import.meta.url), figures, thisMachine());
    say.line('wrote the table in README.md');
  }
  const wrong = figures.filter(({ ok }) => !ok);
  if (wrong.length > 0) say.line(`not ok: ${wrong.map(({ name }) => name).join(', ')}`);
  return wrong.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`\nbench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
