/** The screen of one account, and what can be done with it. */
import type { Account } from '../../../../index.js'
import { isFirst, moveAccount } from '../../order.js'
import { noteAdded } from '../logout.js'
import { forgetAccount, type PinScope, pin, projectOf, readPins } from '../pins.js'
import { recall } from '../remembered.js'
import { accountDetails, accountWords, countdownOf, faultWords, namesOf } from './lines.js'
import { configuredPool, isOurs } from './live.js'
import type { SignIn } from './sign-in.js'
import { currentSession, projectName, type Row, type Stage } from './stage.js'

/**
 * Returns what opens the screen of an account.
 *
 * @param list goes back to the list, with what came of it
 */
export function createAccount(stage: Stage, signIn: SignIn, list: (note?: string) => void): (id: string) => void {
  const { api, library, live, mask, pinsFile } = stage
  const find = (id: string) => live.now().accounts.find((account) => account.id === id)
  const nameOf = (id: string) => namesOf(live.now().accounts, mask).get(id) ?? 'the account'

  const show = (id: string, note = ''): void => {
    const account = find(id)
    if (account === undefined) {
      list(note)
      return
    }
    stage.choose({
      title: `${account.provider} · ${nameOf(id)}`,
      words() {
        const current = find(id)
        if (current === undefined) return 'This account is gone.'
        const now = Date.now()
        const state = [accountWords(current, now), countdownOf(current, now)].filter(Boolean).join(' · ')
        return [state, accountDetails(current, now), note].filter(Boolean).join('\n')
      },
      rows() {
        const current = find(id)
        const back = { title: 'Back', run: () => list() }
        return current === undefined ? [back] : [...choices(current), ...changes(current), back]
      },
    })
  }

  /** Does something, and says on the account's screen what came of it. */
  const attempt = ({ id, provider }: Account, done: string, work: () => Promise<unknown>): void => {
    const run = async () => {
      await work()
      return done
    }
    void stage.attempt(`${provider} · ${nameOf(id)}`, run, (note) => show(id, note))
  }

  /** Which requests it serves. */
  const choices = (account: Account): Row[] => {
    const { id, provider, enabled } = account
    const session = currentSession(api)
    const project = projectOf(api.state.path)
    const rows: Row[] = []
    if (enabled && isOurs(api, provider) === true && isInPool(account, session)) {
      if (session !== undefined) rows.push(choice(account, { session }, 'this session'))
      rows.push(choice(account, { project }, `this project (${projectName(project)})`))
    }
    if (!isFirst(account, live.now().accounts))
      rows.push({
        title: 'Use always',
        description: 'as the first of its pool; the others stand in for it',
        run: () =>
          attempt(account, `${nameOf(id)} comes first in its pool now.`, () => moveAccount(library, id, 'first')),
      })
    return rows
  }

  const choice = (account: Account, scope: PinScope, what: string): Row => {
    const { id, provider } = account
    const pins = readPins(pinsFile)
    const chosen = 'session' in scope ? pins.sessions[scope.session] : pins.projects[scope.project]
    const isChosen = chosen?.[provider] === id
    const done = isChosen
      ? `The pool of ${provider} chooses again for ${what}.`
      : `${nameOf(id)} alone serves ${what}, from its next request on.`
    return {
      title: isChosen ? `No longer only for ${what}` : `Use for ${what}`,
      description: isChosen ? 'the pool chooses again' : 'and no other account',
      run: () => attempt(account, done, async () => pin(scope, provider, isChosen ? undefined : id, pinsFile)),
    }
  }

  /** An account of another pool cannot be chosen: the requests look for it in theirs. */
  const isInPool = ({ id, provider, namespace }: Account, session: string | undefined): boolean => {
    const serving = live.now().sessions.get(session ?? '')
    const trace = serving?.provider === provider ? serving.trace : undefined
    return trace === undefined
      ? namespace === (configuredPool(api, provider).namespace ?? 'default')
      : trace.accounts.some(({ accountId }) => accountId === id)
  }

  const changes = (account: Account): Row[] => {
    const { id, enabled, kind, state, cooldowns, refreshable } = account
    const isLogin = kind === 'oauth' || kind === 'mcp'
    const rows: Row[] = [
      { title: 'Rename', run: () => rename(account) },
      {
        title: enabled ? 'Disable' : 'Enable',
        run: () =>
          attempt(account, enabled ? 'It is disabled: no request gets it.' : 'It is enabled.', async () => {
            await library.updateAccount(id, { enabled: !enabled })
            // Where a logout had disabled it, that is over.
            if (!enabled && recall()[account.provider]?.added?.includes(id)) noteAdded(account)
          }),
      },
    ]
    if (isLogin && refreshable)
      rows.push({
        title: 'Refresh its token',
        run: () => attempt(account, 'Its token is new.', () => library.refreshAccount(id, { force: true })),
      })
    if (cooldowns.length > 0 || (kind === 'api' && state === 'needs_login'))
      rows.push({
        title: 'Clear its cooldowns',
        description: 'the next request tries it',
        run: () => attempt(account, 'The next request may try it.', () => library.clearCooldowns({ account: id })),
      })
    if (isLogin) rows.push({ title: 'Sign in again', run: () => signIn.again(account) })
    rows.push({ title: 'Remove', run: () => remove(account) })
    return rows
  }

  const rename = (account: Account): void => {
    const { id, label } = account
    // A label that is masked elsewhere is not shown here either.
    const isPlain = nameOf(id) === label
    const render = () =>
      api.ui.DialogPrompt({
        title: 'New label',
        placeholder: nameOf(id),
        ...(isPlain && { value: label }),
        onConfirm(typed) {
          const next = typed.trim()
          if (next === '' || next === label) show(id)
          else attempt(account, 'It is renamed.', () => library.updateAccount(id, { label: next }))
        },
      })
    stage.show(render, 'medium')
  }

  const remove = ({ id, provider, kind }: Account): void => {
    const name = nameOf(id)
    const go = (revoke: boolean) => {
      const work = async () => {
        await library.removeAccount(id, { revoke })
        try {
          forgetAccount(id, pinsFile)
        } catch (fault) {
          return `${name} is removed, and still chosen for a session or a project: ${faultWords(fault)}`
        }
        return `${name} is removed.`
      }
      void stage.attempt(`Remove ${name}`, work, list)
    }
    const revoking = { title: 'Remove, and end the login at the provider', run: () => go(true) }
    stage.choose({
      title: `Remove ${name} of ${provider}?`,
      words: () => 'Its credential is erased from the vault, for every program on this machine. This cannot be undone.',
      question: 'Are you sure?',
      // The first one is preselected: Enter alone must not remove.
      rows: () => [
        { title: 'Keep', run: () => show(id) },
        { title: 'Remove', run: () => go(false) },
        ...(kind === 'api' ? [] : [revoking]),
      ],
    })
  }

  return show
}
