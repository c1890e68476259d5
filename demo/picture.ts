/** `node demo/picture.ts FRAME.txt OUT.svg`: a frame of the demo, saved with `--frame`, as a picture for the README. */
import { readFileSync, writeFileSync } from 'node:fs';

const cell = { width: 8.4, height: 18, font: 14 };
const margin = 20;
const bar = 30;
const palette: Readonly<Record<string, string>> = { 31: '#ff7b72', 32: '#7ee787', 33: '#e3b341', 36: '#79c0ff' };

interface Run {
  readonly at: number;
  readonly text: string;
  readonly colour: string;
  readonly isBold: boolean;
}

/** One line of text with SGR escapes as runs of one style each. */
function runsOf(line: string): Run[] {
  const runs: Run[] = [];
  let style = { colour: '#c9d1d9', isBold: false };
  let at = 0;
  for (const part of line.split(/(\x1b\[\d+m)/)) {
    const code = /^\x1b\[(\d+)m$/.exec(part)?.[1];
    if (code === undefined) {
      if (part !== '') runs.push({ at, text: part, ...style });
      at += part.length;
    } else if (code === '1') style = { ...style, isBold: true };
    else if (code === '2') style = { ...style, colour: '#8b949e' };
    else if (code === '22' || code === '39' || code === '0') style = { colour: '#c9d1d9', isBold: false };
    else style = { ...style, colour: palette[code] ?? style.colour };
  }
  return runs;
}

export function svgOf(frame: string, title: string): string {
  const lines = frame.trimEnd().split('\n').map(runsOf);
  const columns = Math.max(...lines.flatMap((runs) => runs.map(({ at, text }) => at + text.length)));
  const width = Math.ceil(columns * cell.width + 2 * margin);
  const height = Math.ceil(bar + lines.length * cell.height + margin);
  const texts = lines.flatMap((runs, row) => runs.filter(({ text }) => text.trim() !== '').map((run) => textElement(run, row)));
  const dots = ['#ff5f56', '#ffbd2e', '#27c93f'].map((fill, index) => `<circle cx="${20 + index * 18}" cy="16" r="5.5" fill="${fill}"/>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...dots,
    `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${cell.font}" xml:space="preserve">`,
    ...texts,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

/** Each run says its own width, so that columns stay columns in whatever font the reader has. */
function textElement({ at, text, colour, isBold }: Run, row: number): string {
  const lead = text.length - text.trimStart().length;
  const shown = text.trim();
  const x = (margin + (at + lead) * cell.width).toFixed(1);
  const y = (bar + (row + 1) * cell.height - 4).toFixed(0);
  const length = (shown.length * cell.width).toFixed(1);
  return `<text x="${x}" y="${y}" textLength="${length}" lengthAdjust="spacingAndGlyphs" fill="${colour}"${isBold ? ' font-weight="bold"' : ''}>${escape(shown)}</text>`;
}

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

if (import.meta.main) {
  const [from, to] = process.argv.slice(2);
  if (from === undefined || to === undefined) {
    process.stderr.write('usage: node demo/picture.ts FRAME.txt OUT.svg\n');
    process.exitCode = 2;
  } else {
    writeFileSync(
      to,
      svgOf(readFileSync(from, 'utf8'), 'The crossfade demo: rates, lag and rows on all three sides while a shop is at work'),
    );
  }
}
