/** What a monitor sees of a process. */
import { request } from 'node:http';

/** A connection of its own for each question, as a scrape after a restart has. */
export function askHttp(port: number, path: string, method = 'GET'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, agent: false, timeout: 15_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on('timeout', () => asked.destroy(new Error(`${path} did not answer`)));
    asked.on('error', reject).end();
  });
}

/** The value of one sample in Prometheus' text form; undefined where there is none. */
export function metricOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const line = text
    .split('\n')
    .find(
      (each) => new RegExp(`^${name}[{ ]`).test(each) && Object.entries(labels).every(([key, value]) => each.includes(`${key}="${value}"`)),
    );
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
}
