/** What every screen stands on: how a dialog is put up, and how it waits for something. */
import { basename } from 'node:path'
import { createElements, type Elements, PADDING, unharmed } from './elements.js'
import type { Api, Element, Option, Signals, Solid } from './host.js'
import { faultWords } from './lines.js'
import type { Library, Live } from './live.js'

/** What a screen says while it waits for something of this machine. */
export const ONE_MOMENT = 'One moment …'

const NOT_DRAWN = 'provider-auth: this could not be drawn. Press Esc.'

/** A dialog that was put up; `gone` once another one, or none, is there in its place. */
export interface Shown {
  readonly gone: boolean
  whenGone(end: () => void): void
}

/** A line of a list, and what happens when it is chosen. */
export interface Row extends Omit<Option, 'value' | 'onSelect'> {
  /** Tells it from the others of its list; by default its title does. */
  id?: string
  run(): void
}

export interface Choice {
  title: string
  /** What stands between the title and the rows; may be empty. */
  words(): string
  /** What the rows are, where there are words. */
  question?: string
  rows(): readonly Row[]
}

export interface Stage {
  readonly api: Api
  readonly library: Library
  readonly live: Live
  readonly elements: Elements
  readonly createSignal: Signals['createSignal']
  readonly pinsFile: string
  /** Whether e-mail addresses are masked. */
  readonly mask: boolean
  show(render: () => Element, size?: 'medium' | 'large' | 'xlarge'): Shown
  choose(choice: Choice): Shown
  /** Shows a page of texts and fields. */
  page(title: string, content: () => readonly Element[]): Shown
  /**
   * Does something that takes its time. Goes on to `next` with what came of it or what went wrong,
   * unless the user has closed the dialog meanwhile.
   */
  attempt(title: string, work: () => Promise<string>, next: (note: string) => void): Promise<void>
}

export interface StageOptions {
  api: Api
  solid: Solid
  signals: Signals
  library: Library
  live: Live
  pinsFile: string
  mask: boolean
}

export function createStage({ api, solid, signals, library, live, pinsFile, mask }: StageOptions): Stage {
  const elements = createElements(api, solid, signals)
  const { onCleanup, untrack } = signals

  const show: Stage['show'] = (render, size = 'xlarge') => {
    const ends: (() => void)[] = []
    const shown = { gone: false, whenGone: (end: () => void) => void ends.push(end) }
    api.ui.dialog.replace(() => {
      const stop = live.watch({ session: currentSession(api), counts: true })
      onCleanup(() => {
        shown.gone = true
        for (const end of [stop, ...ends]) end()
      })
      return unharmed(() => untrack(render), elements.text(NOT_DRAWN, 'warning'))
    })
    api.ui.dialog.setSize(size)
    return shown
  }

  const page: Stage['page'] = (title, content) =>
    show(() => elements.column(PADDING, elements.head(title), ...content()))

  return {
    api,
    library,
    live,
    elements,
    createSignal: signals.createSignal,
    pinsFile,
    mask,
    show,
    page,
    choose({ title, words: said, question = 'What to do', rows }) {
      const words = () => unharmed(said, '')
      return show(() => {
        const above = elements.column(
          { paddingLeft: 4, paddingRight: 4, paddingBottom: 1 },
          elements.text(title, 'accent'),
          elements.text(words, 'textMuted'),
        )
        const select = api.ui.DialogSelect({
          get title() {
            return words() === '' ? title : question
          },
          get options() {
            return unharmed(rows, []).map(({ id, run, ...shown }) => ({
              ...shown,
              value: id ?? shown.title,
              onSelect: () => unharmed(run, undefined),
            }))
          },
        })
        return elements.column({}, () => (words() === '' ? [] : above), select)
      })
    },
    async attempt(title, work, next) {
      const shown = page(title, () => [elements.text(ONE_MOMENT, 'textMuted')])
      let note: string
      try {
        note = await work()
      } catch (fault) {
        note = faultWords(fault)
      }
      if (shown.gone) return
      await live.reload()
      if (!shown.gone) next(note)
    },
  }
}

/** The session that the user looks at. */
export function currentSession(api: Api): string | undefined {
  const { name, params } = api.route.current
  const session = name === 'session' ? params?.sessionID : undefined
  return typeof session === 'string' ? session : undefined
}

/** A project by the name of its folder. */
export function projectName(project: string): string {
  return basename(project) || project
}
