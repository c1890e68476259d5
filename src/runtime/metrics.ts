/**
 * The catalogue in Prometheus' text form. The values are taken from plain totals at each scrape: a registry of a thread
 * would never leave it, and two places to count in would come to differ.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { catalogue, type View } from './metrics-catalogue.ts';

/** What a scrape answers; every sample says which pipeline it is of. */
export function metricsText(pipeline: string, view: View): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels({ pipeline });
  for (const { name, kind, help, labels, samples } of catalogue) {
    const options = { name, help, labelNames: [...labels], registers: [registry] };
    const known = samples(view);
    if (kind === 'gauge') {
      const gauge = new Gauge(options);
      gauge.remove({});
      for (const { labels, value } of known) gauge.set(labels, value);
    } else {
      const counter = new Counter(options);
      for (const { labels, value } of known) counter.inc(labels, value);
    }
  }
  return registry.metrics();
}
