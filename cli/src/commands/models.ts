/** `models`: what a provider offers to the account that would serve. */
import { visible } from '../../../npm/src/trust.js'
import { discoverModels } from '../library.js'
import type { Call } from '../run.js'
import { needVault } from '../stored.js'
import { table } from '../table.js'
import { ago } from '../words.js'

export async function run({
  args: [provider = ''],
  options: { namespace, refresh },
  out,
}: Call<{ namespace?: string; refresh?: boolean }>): Promise<void> {
  await needVault(provider)
  const list = await discoverModels({
    provider,
    ...(namespace !== undefined && { namespace }),
    ...(refresh !== undefined && { refresh }),
  })
  const { models, fetchedAt, stale } = list
  out.answer({ provider, models, fetchedAt, stale }, () => {
    const { dim } = out.colour
    const rows = models.map(({ id, name, contextWindow }) => [
      visible(id),
      visible(name ?? ''),
      contextWindow === undefined ? '' : contextWindow.toLocaleString('en'),
    ])
    const heads = ['MODEL', 'NAME', 'CONTEXT (TOKENS)']
    // A provider that says ids alone needs no empty columns.
    const used = heads.map((_, column) => column === 0 || rows.some((row) => row[column] !== ''))
    const kept = (row: string[]): string[] => row.filter((_, column) => used[column])
    return table(
      kept(heads).map((head) => dim(head)),
      rows.map(kept),
    )
  })
  if (stale)
    out.say(
      `the provider could not be asked now; this list is of ${ago(fetchedAt, Date.now())} (provider-auth explain ${provider})`,
    )
}
