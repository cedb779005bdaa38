/** `/accounts`: the list of all accounts. */
import { createAccount } from './account.js'
import { accountWords, countdownOf, namesOf, providerTitle, servingLine } from './lines.js'
import { isOurs } from './live.js'
import { createSignIn } from './sign-in.js'
import { currentSession, ONE_MOMENT, type Row, type Stage } from './stage.js'

/** Returns what opens the list. */
export function createAccounts(stage: Stage): (note?: string) => void {
  const { api, live, mask } = stage

  const list = (note = ''): void => {
    stage.choose({
      title: 'Connected accounts',
      words() {
        const { fault, read } = live.now()
        if (fault !== undefined) return `The accounts cannot be shown: ${fault}`
        return read ? note : ONE_MOMENT
      },
      question: 'Accounts',
      rows() {
        const { fault, read } = live.now()
        if (!read) return []
        if (fault !== undefined) return [{ title: 'Try again', run: () => retry() }]
        return [...accounts(), { title: 'Add an account', category: 'More', run: () => void signIn.add() }]
      },
    })
  }

  const retry = () => void stage.attempt('Connected accounts', async () => '', list)

  const accounts = (): Row[] => {
    const { accounts: all, pools, sessions } = live.now()
    const now = Date.now()
    const names = namesOf(all, mask)
    const serving = sessions.get(currentSession(api) ?? '')
    const line = serving === undefined ? '' : servingLine(serving, all, names, now)
    return all.map((account) => {
      const { id, provider } = account
      return {
        title: `${serving?.trace?.accountId === id ? '●' : '○'} ${names.get(id) ?? ''}`,
        description: accountWords(account, now),
        footer: countdownOf(account, now),
        category: providerTitle(provider, {
          isOurs: isOurs(api, provider),
          // Its limits stand in its own row.
          serving: serving?.provider === provider ? line.split(' · ')[0] : undefined,
          pools: pools.filter((pool) => pool.provider === provider),
        }),
        id,
        run: () => open(id),
      }
    })
  }

  const signIn = createSignIn(stage, list)
  const open = createAccount(stage, signIn, list)
  return list
}
