/**
 * What is kept between pages: `localStorage`; the id in a cookie where that is closed; and memory
 * while nothing may be stored. All names begin alike, so that everything can be removed.
 */

export class Storage {
  private readonly memory = new Map<string, string>();
  private readonly local: globalThis.Storage | undefined;
  private readonly prefix: string;
  /** Whether anything may be stored. What was written before is written out once it may be. */
  private open = false;

  constructor(key: string) {
    this.prefix = `df.${key}.`;
    this.local = reachable();
  }

  /** True when what is written is still there on the next page, of any size. */
  get lasting(): boolean {
    return this.open && !!this.local;
  }

  /** From here on things are stored. True when that is news. */
  allow(): boolean {
    const news = !this.open;
    this.open = true;
    return news;
  }

  /** Removes everything, and stores nothing from here on. */
  refuse(): void {
    this.open = false;
    this.memory.clear();
    for (const name of this.names('')) this.remove(name);
    if (cookie(`${this.prefix}id`) !== null) this.writeCookie('id', '', 0);
  }

  get(name: string): string | null {
    return this.memory.get(name) ?? (this.open ? this.read(name) : null);
  }

  /** False when there is no room for it. */
  set(name: string, value: string): boolean {
    if (!this.open) {
      this.memory.set(name, value);
      return true;
    }
    try {
      if (!this.local) throw 0;
      this.local.setItem(this.prefix + name, value);
      this.memory.delete(name);
      return true;
    } catch {
      this.memory.set(name, value);
      // The id alone is small enough for a cookie, and worth one.
      if (name === 'id' && value.length < 2000) this.writeCookie(name, value, 400 * 86_400);
      return false;
    }
  }

  remove(name: string): void {
    this.memory.delete(name);
    try {
      this.local?.removeItem(this.prefix + name);
    } catch {
      // It is not there, then.
    }
  }

  /** The names that begin so. */
  names(start: string): string[] {
    const names: string[] = [];
    const wanted = this.prefix + start;
    try {
      for (let at = 0; at < (this.local?.length ?? 0); at++) {
        const name = this.local?.key(at);
        if (name?.startsWith(wanted)) names.push(name.slice(this.prefix.length));
      }
    } catch {
      // Closed since: there is nothing.
    }
    return names;
  }

  private read(name: string): string | null {
    try {
      if (this.local) return this.local.getItem(this.prefix + name);
    } catch {
      // Closed since: as if it had never been.
    }
    return cookie(this.prefix + name);
  }

  private writeCookie(name: string, value: string, seconds: number): void {
    const secure = location.protocol === 'https:' ? ';Secure' : '';
    const text = `${this.prefix}${name}=${encodeURIComponent(value)};Path=/;Max-Age=${seconds};SameSite=Lax${secure}`;
    try {
      document.cookie = text;
    } catch {
      // A sandbox has no cookies.
    }
  }
}

/** A cookie of the page, decoded. */
export function cookie(name: string): string | null {
  try {
    for (const pair of document.cookie.split('; ')) {
      const at = pair.indexOf('=');
      if (pair.slice(0, at) === name) return decoded(pair.slice(at + 1));
    }
  } catch {
    // A sandbox has no cookies.
  }
  return null;
}

export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** JSON as an object; an empty one when it is none. */
export function parsed(text: string | null | undefined): Record<string, any> {
  try {
    const value = JSON.parse(text ?? '');
    return value && typeof value === 'object' ? value : {};
  } catch {
    return {};
  }
}

function reachable(): globalThis.Storage | undefined {
  try {
    return window.localStorage;
  } catch {
    return undefined;
  }
}
