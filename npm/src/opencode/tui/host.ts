/** What OpenCode's TUI and its plugins hand to each other; only what is used here. Types alone. */

declare const element: unique symbol

/** Something on the screen. */
export interface Element {
  readonly [element]: true
  focus(): void
}

export type Inserted = string | Element | (() => string | Element | readonly Element[])

/** The modules of the TUI that draw. */
export type Solid = typeof import('@opentui/solid')
export type Signals = typeof import('solid-js')

export interface Option {
  title: string
  /** Tells it from the others. */
  value: string
  onSelect(): void
  description?: string
  footer?: string
  category?: string
}

export interface KeyPress {
  name: string
  /** The text that was typed, or the bytes of a key that is no text. */
  sequence: string
  ctrl: boolean
  meta: boolean
  preventDefault(): void
}

export interface Paste {
  bytes: Uint8Array
  preventDefault(): void
}

export interface Message {
  role: string
  providerID?: string
  modelID?: string
  model?: { providerID: string; modelID: string }
}

export interface HostProvider {
  id: string
  key?: string
  options?: Record<string, unknown>
}

export interface Colors {
  readonly text: unknown
  readonly textMuted: unknown
  readonly accent: unknown
  readonly warning: unknown
}

/** What the TUI hands to a plugin. */
export interface Api {
  keymap: {
    registerLayer(layer: { commands: Command[]; bindings: [] }): () => void
  }
  route: {
    readonly current: { name: string; params?: Record<string, unknown> }
  }
  ui: {
    DialogPrompt(props: {
      title: string
      placeholder?: string
      value?: string
      onConfirm(value: string): void
    }): Element
    DialogSelect(props: { title: string; options: readonly Option[] }): Element
    dialog: {
      replace(render: () => Element, onClose?: () => void): void
      clear(): void
      setSize(size: 'medium' | 'large' | 'xlarge'): void
    }
  }
  state: {
    readonly ready: boolean
    readonly config: { provider?: Record<string, { options?: Record<string, unknown> }> }
    readonly provider: readonly HostProvider[]
    readonly path: { directory: string; worktree: string }
    session: {
      get(session: string): { parentID?: string } | undefined
      messages(session: string): readonly Message[]
    }
  }
  theme: { readonly current: Colors }
  client: {
    instance: { dispose(): Promise<unknown> }
    session: { status(): Promise<{ data?: Record<string, { type: string }> }> }
  }
  renderer: { copyToClipboardOSC52(text: string): boolean }
  slots: {
    register(plugin: { slots: Partial<Record<SlotName, Slot>> }): string
  }
  lifecycle: { onDispose(end: () => void): () => void }
}

export interface Command {
  name: string
  title: string
  category: string
  namespace: 'palette'
  slashName: string
  run(): void
}

export type SlotName = 'home_bottom' | 'session_prompt_right' | 'sidebar_content'
export type Slot = (context: unknown, props: { session_id?: string }) => Element
