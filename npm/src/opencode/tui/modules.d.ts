/**
 * The modules that OpenCode's TUI brings to its plugins, with what is used here. They are resolved
 * by OpenCode when it loads the plugin, and are nowhere else.
 */

declare module '@opentui/solid' {
  type Element = import('./host.js').Element

  export function createElement(tag: 'box' | 'text'): Element
  export function setProp(element: Element, name: string, value: unknown): void
  /** With `null` as its third argument it adds to what is there. A function is read anew when a signal in it changes. */
  export function insert(parent: Element, child: import('./host.js').Inserted, before?: null): void
}

declare module 'solid-js' {
  export function createSignal<T>(value: T): [get: () => T, set: (value: T) => void]
  /** Runs when what is being drawn now is taken away. */
  export function onCleanup(end: () => void): void
  export function untrack<T>(look: () => T): T
}
