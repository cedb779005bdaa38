/** Puts the parts together, and takes them away at the end. */
import { read } from '../../own.js'
import { pinsFile } from '../pins.js'
import { createAccounts } from './accounts.js'
import { createElements, type Elements, PADDING } from './elements.js'
import type { Api, Signals, Solid } from './host.js'
import { faultWords } from './lines.js'
import { createLive, type Library } from './live.js'
import { registerSlots } from './slots.js'
import { createStage } from './stage.js'

export async function startTui(api: Api, options: Record<string, unknown> | undefined): Promise<void> {
  // Of OpenCode, which alone has them.
  const [solid, signals]: [Solid, Signals] = await Promise.all([import('@opentui/solid'), import('solid-js')])
  const { open, end } = await prepare(api, solid, signals, options)
  const removeCommand = api.keymap.registerLayer({
    commands: [
      {
        name: 'provider-auth.accounts',
        title: 'Manage connected accounts',
        category: 'Provider',
        namespace: 'palette',
        slashName: 'accounts',
        // Not itself: it is called with something of OpenCode's.
        run: () => open(),
      },
    ],
    bindings: [],
  })
  api.lifecycle.onDispose(() => {
    removeCommand()
    end()
  })
}

async function prepare(api: Api, solid: Solid, signals: Signals, options: Record<string, unknown> | undefined) {
  let library: Library
  try {
    library = await import('../../index.js')
  } catch (fault) {
    return { open: () => sayBroken(api, createElements(api, solid, signals), faultWords(fault)), end: () => {} }
  }
  const file = pinsFile()
  const live = createLive(api, signals, { library, attached: isAttached(process.argv), pinsFile: file })
  const mask = read(options ?? {}, 'maskIdentity') !== false
  const stage = createStage({ api, solid, signals, library, live, pinsFile: file, mask })
  registerSlots(stage, signals)
  return { open: createAccounts(stage), end: live.close }
}

function sayBroken(api: Api, { column, head, text }: Elements, why: string): void {
  const words = `provider-auth does not load on this machine: ${why}`
  api.ui.dialog.replace(() => column(PADDING, head('Connected accounts'), text(words, 'warning')))
  api.ui.dialog.setSize('large')
}

/** Tells whether this process only shows what another one does: `opencode attach`. */
export function isAttached(argv: readonly string[]): boolean {
  return argv.slice(2).includes('attach')
}
