/** What stands on the screen all the time: one line beside the prompt, counts at home, a list in the side bar. */
import { unharmed } from './elements.js'
import type { Element, Signals } from './host.js'
import { countsLine, namesOf, servingLine, sidebarLines } from './lines.js'
import { isOurs, type Watching } from './live.js'
import type { Stage } from './stage.js'

export function registerSlots(stage: Stage, { onCleanup, untrack }: Signals): void {
  const { api, live, elements, mask } = stage
  /** Draws something that is read on as long as it is there. */
  const watched = (watching: Watching, draw: () => Element): Element =>
    untrack(() => {
      onCleanup(live.watch(watching))
      return draw()
    })

  const line = (session: string): string => {
    const { sessions, accounts, at } = live.now()
    const serving = sessions.get(session)
    return serving === undefined ? '' : servingLine(serving, accounts, namesOf(accounts, mask), at)
  }

  const counts = (): string => {
    const { fault, accounts, at } = live.now()
    return fault === undefined ? countsLine(accounts, at) : 'the vault is not open: /accounts'
  }

  const sidebar = (session: string): Element[] => {
    const { sessions, accounts, at, fault } = live.now()
    if (fault !== undefined) return [elements.text('Accounts'), elements.text('not to be read: /accounts', 'textMuted')]
    const serving = sessions.get(session)
    const provider = serving?.provider
    if (provider === undefined || isOurs(api, provider) !== true) return []
    const shown = accounts.filter((account) => account.provider === provider)
    const lines = sidebarLines(shown, namesOf(accounts, mask), serving?.trace?.accountId, at)
    return [elements.text(`Accounts of ${provider}`), ...lines.map((text) => elements.text(text, 'textMuted'))]
  }

  api.slots.register({
    slots: {
      home_bottom: () =>
        watched({}, () =>
          // The prompt's last line reaches into this slot.
          elements.column({ paddingTop: 1, flexShrink: 0 }, elements.text(counts, 'textMuted')),
        ),
      session_prompt_right: (_, { session_id = '' }) =>
        watched({ session: session_id }, () => elements.text(() => line(session_id), 'textMuted')),
      sidebar_content: (_, { session_id = '' }) =>
        watched({ session: session_id }, () => elements.column({}, () => unharmed(() => sidebar(session_id), []))),
    },
  })
}
