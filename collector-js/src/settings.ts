/** What the collector is told: by the server, by the tag of the script, by `init`. Later ones win. */

export interface Settings {
  /** The write key of the pipeline. */
  pipelineKey: string;
  /** Where the pipeline is, without `/v1`: preset is where the script came from. */
  endpoint: string;
  /** How many events are sent at once without waiting for the interval. */
  batchSize: number;
  /** How long an event waits for others, in milliseconds. */
  flushInterval: number;
  /** Whether page calls are made on load and on navigation inside the page. */
  pages: boolean;
  /** The categories without which nothing is stored or sent. */
  consentRequired: string[];
  /** Which platform is asked: `auto`, `none`, a name of `consent.ts`, or `custom:NAME`. */
  consentFrom: string;
  /** Further codes of a platform, and the category that each stands for. */
  consentMap: Record<string, string>;
}

/** The names under which pages find the collector, besides the one they choose. */
export const ALWAYS = 'datafly';

export const PRESETS: Settings = {
  pipelineKey: '',
  endpoint: '',
  batchSize: 10,
  flushInterval: 1000,
  pages: true,
  consentRequired: [],
  consentFrom: 'auto',
  consentMap: {},
};

/** Takes over what is known here and of the right kind; everything else is ignored. */
export function merge(settings: Settings, more: unknown): void {
  if (!more || typeof more !== 'object') return;
  const target = settings as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(more)) {
    const preset = (PRESETS as unknown as Record<string, unknown>)[name];
    if (preset === undefined || value == null) continue;
    if (typeof value === typeof preset && Array.isArray(value) === Array.isArray(preset)) {
      target[name] = value;
    }
  }
  settings.endpoint = settings.endpoint.replace(/\/+$/, '').replace(/\/v1(\/batch)?$/, '');
  settings.batchSize = clamp(settings.batchSize, 1, 100);
  settings.flushInterval = clamp(settings.flushInterval, 0, 60_000);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, Math.round(value) || low));
}
