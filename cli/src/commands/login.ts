/** `login`: signs in to a provider, or adds an API key. */
import type { Account, AuthError, LoginOptions, ProviderSummary } from '../../../index.js'
import { accountStatus } from '../../../npm/src/opencode/status.js'
import { visible } from '../../../npm/src/trust.js'
import { listed } from '../accounts.js'
import { usage } from '../faults.js'
import { addApiKey, listAccounts, startLogin } from '../library.js'
import { askedName, chosenMethod, chosenProvider, type Method, summaryOf, usualMethod } from '../login/choose.js'
import { checked, readKey } from '../login/key.js'
import { type Place, placeOf } from '../login/place.js'
import { explained } from '../login/remedies.js'
import { showPrompt } from '../login/show.js'
import { onceTrusted } from '../login/trust.js'
import { finished } from '../login/wait.js'
import type { Output } from '../output.js'
import { canAsk } from '../prompts.js'
import type { Call } from '../run.js'

interface Options {
  method?: Method
  withToken?: boolean
  check?: boolean
  resource?: string
  label?: string
  namespace?: string
  priority?: string
  loginHint?: string
  timeout?: string
  browser: boolean
  qr: boolean
}

export async function run({ args: [named], options, out }: Call<Options>): Promise<void> {
  const { label, namespace, check, withToken } = options
  if (withToken && options.method !== undefined && options.method !== 'api-key')
    throw usage(`--with-token adds an API key, and --method ${options.method} does not`)
  const priority = whole('--priority', options.priority, -1e6, 1e6)
  const seconds = whole('--timeout', options.timeout, 1, 86_400)
  const common = {
    ...(label !== undefined && { label }),
    ...(namespace !== undefined && { namespace }),
    ...(priority !== undefined && { priority }),
  }
  const { provider, resource } = await wanted(named, options.resource)
  const known = resource === undefined ? await summaryOf(provider) : undefined
  const isAsked = named === undefined && options.method === undefined && !withToken && known !== undefined
  const asked = isAsked ? await chosenMethod(known) : options.method
  const place = placeOf()
  const method = withToken ? 'api-key' : (asked ?? usual(known, place))
  if (check && method !== 'api-key') throw usage('--check asks about an API key: use it with --with-token')
  try {
    const before = new Set((await listAccounts({ provider })).map(({ id }) => id))
    if (method === 'api-key') {
      if (known !== undefined && asked === undefined && !withToken) tellOfLogin(known, out)
      const apiKey = await readKey(provider, withToken === true)
      const outcome = check ? await onceTrusted(() => checked(provider, apiKey, out)) : undefined
      const account = await onceTrusted(() => addApiKey({ provider, apiKey, ...common }))
      return await told({ account, isNew: !before.has(account.id), ...(outcome && { check: outcome }) }, out)
    }
    if (asked === undefined && known?.methods.includes('api-key') === true)
      out.say(`To add an API key instead: provider-auth login ${visible(provider)} --method api-key`)
    const account = await signedIn(
      {
        provider,
        ...common,
        ...(method !== undefined && { method }),
        ...(resource !== undefined && { resource }),
        ...(options.loginHint !== undefined && { loginHint: options.loginHint }),
        ...(seconds !== undefined && { timeoutMs: seconds * 1000 }),
      },
      { place, opens: options.browser, qr: options.qr, isFixed: asked !== undefined, out },
    )
    await told({ account, isNew: !before.has(account.id) }, out)
  } catch (error) {
    throw explained(error, provider, known, out)
  }
}

async function wanted(
  named: string | undefined,
  resource: string | undefined,
): Promise<{ provider: string; resource?: string }> {
  if (resource === undefined) return named === undefined ? chosenProvider() : { provider: named }
  return { provider: named ?? (await askedName(resource)), resource }
}

/** The way to sign in where none was named. Without one that is known, the library says what is missing. */
function usual(known: ProviderSummary | undefined, place: Place): Method | undefined {
  if (known === undefined) return 'browser'
  const method = usualMethod(known.methods, place)
  if (method !== undefined) return method
  // Where nothing is known to hold a key, a client is what is missing.
  const takesKeys = known.registration === undefined || known.keyVariables.length > 0
  return known.methods.includes('api-key') && takesKeys ? 'api-key' : undefined
}

/** Says what a login would take, where a key is asked for instead. */
function tellOfLogin({ id, registration }: ProviderSummary, out: Output): void {
  if (registration !== undefined)
    out.say(`To sign in with the browser instead, see: provider-auth login ${visible(id)} --method browser`)
}

interface Way {
  place: Place
  opens: boolean
  qr: boolean
  /** Whether a person has chosen the method. */
  isFixed: boolean
  out: Output
}

async function signedIn(options: LoginOptions, { place, opens, qr, isFixed, out }: Way): Promise<Account> {
  const session = await onceTrusted(() =>
    startLogin(options).catch((error: AuthError) => {
      // Only the server's own list of endpoints tells whether it has a device code.
      const mayDiffer = !isFixed && options.method === 'device' && error.code === 'INVALID_ARGUMENT'
      if (!mayDiffer || !error.message.startsWith('method:')) throw error
      return startLogin({ ...options, method: 'browser' })
    }),
  )
  const isPage = session.method === 'browser' || session.method === 'paste'
  const isLocal = place === 'local' || place === 'wsl' || (place === 'codespaces' && process.env.BROWSER !== undefined)
  const isPasted = isPage && canAsk()
  if (session.method === 'paste' && !isPasted) {
    session.cancel()
    throw usage('--method paste reads what is pasted from a terminal, and there is none', '--method device or browser')
  }
  if (isPage || session.method === 'device') showPrompt(session, { place, opens: opens && isLocal, qr, isPasted })
  return finished(session, { isPasted, quiet: out.quiet })
}

interface Done {
  account: Account
  isNew: boolean
  check?: 'accepted' | 'unclear'
}

async function told({ account, isNew, check }: Done, out: Output): Promise<void> {
  const { id, provider, namespace, identity, kind } = account
  const status = (await listed({ provider, namespace })).find((one) => one.id === id)
  const shown = status ?? accountStatus(account, undefined, false)
  const { issuer: _, subject: __, ...who } = identity ?? {}
  out.answer({ account: shown, new: isNew, identity: who, ...(check !== undefined && { check }) }, () => {
    const person = who.email !== undefined && who.email !== account.label ? ` as ${visible(who.email)}` : ''
    const plan = who.plan === undefined ? '' : `, plan ${visible(who.plan)}`
    const what =
      kind === 'api'
        ? isNew
          ? 'was added'
          : 'was there already'
        : `is signed in${isNew ? '' : ' again'}${person}${plan}`
    const pool = namespace === 'default' ? '' : ` It is in the pool ${visible(namespace)}.`
    return `${shown.label} of ${visible(provider)} ${what}.${pool}${placeWords(shown.serves)}`
  })
  const where = namespace === 'default' ? '' : ` --namespace ${visible(namespace)}`
  if (kind === 'mcp') out.say(`Next: provider-auth headers ${visible(provider)} <url>`)
  else
    out.say(
      `Next: provider-auth models ${visible(provider)}${where}, or provider-auth exec ${visible(provider)}${where} -- <command>`,
    )
}

function placeWords(serves: number | undefined): string {
  if (serves === undefined) return ''
  return serves === 1 ? ' It serves first.' : ` It serves after ${serves - 1} other${serves === 2 ? '' : 's'}.`
}

function whole(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^-?\d+$/.test(text) || value < least || value > most)
    throw usage(`${option} takes a whole number from ${least} to ${most}`, 'provider-auth help login')
  return value
}
