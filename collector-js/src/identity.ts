/** Who the visitor is. Read at every call: another tab may have signed in or out since. */

import { parsed, Storage } from './storage';

export type Traits = Record<string, unknown>;

interface Kept {
  anonymousId: string;
  userId?: string;
  traits?: Traits;
  groupId?: string;
}

export class Identity {
  constructor(private readonly storage: Storage) {}

  get(): Kept {
    const kept = parsed(this.storage.get('id'));
    if (typeof kept.anonymousId === 'string') return kept as Kept;
    return this.put({ anonymousId: uuid() });
  }

  /** Joins new traits to those before; another user is also another device. */
  identify(userId: string | undefined, traits: Traits): Kept {
    let kept = this.get();
    if (userId && kept.userId && kept.userId !== userId) kept = { anonymousId: uuid() };
    return this.put({ ...kept, userId: userId ?? kept.userId, traits: { ...kept.traits, ...traits } });
  }

  group(groupId: string): void {
    this.put({ ...this.get(), groupId });
  }

  reset(): void {
    this.put({ anonymousId: uuid() });
  }

  private put(kept: Kept): Kept {
    this.storage.set('id', JSON.stringify(kept));
    return kept;
  }
}

/** A random UUID; `crypto.randomUUID` is there on https pages only. */
export function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 15) | 64;
  bytes[8] = (bytes[8]! & 63) | 128;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
