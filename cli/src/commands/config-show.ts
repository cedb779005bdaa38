/** `config show`: what is in effect, and where each value comes from. */
import type { ConfigReport } from '../../../index.js'
import { visible } from '../../../npm/src/trust.js'
import { shortPath, sourceWords } from '../config.js'
import { EXIT, fault } from '../faults.js'
import { inspectConfig } from '../library.js'
import type { Call } from '../run.js'
import { table } from '../table.js'

type Provider = ConfigReport['providers'][number]

/** Settings that are paths. */
const PATHS = new Set(['dir', 'log.file'])

export async function run({ args: [wanted], options, out }: Call<{ all?: boolean }>): Promise<void> {
  const report = await inspectConfig()
  const counts = ({ id, configured }: Provider): boolean =>
    wanted === undefined ? options.all === true || configured : id === wanted
  const providers = report.providers.filter(counts)
  if (wanted !== undefined && providers.length === 0)
    throw fault({
      code: 'UNKNOWN_PROVIDER',
      message: `there is no provider ${wanted}`,
      exit: EXIT.failed,
      next: 'provider-auth config show --all',
      provider: wanted,
    })
  const { settings, variables } = report
  out.answer(wanted === undefined ? { settings, variables, providers } : { providers }, () => {
    const { bold, dim } = out.colour
    const heads = (name: string): string[] => [bold(name), '', '']
    const blocks = providers.map(({ id, values }) =>
      table(
        heads(visible(id)),
        values.flatMap(({ key, value, source }) => {
          const [first = '', ...more] = value === undefined ? [dim('(set; not shown)')] : linesOf(value)
          return [[`  ${visible(key)}`, first, dim(sourceWords(source))], ...more.map((line) => ['', line, ''])]
        }),
      ),
    )
    if (wanted === undefined) {
      const rows = settings.map(({ name, value, source }) => [
        `  ${name}`,
        value === undefined ? '' : PATHS.has(name) ? shortPath(value) : visible(value),
        dim(sourceWords(source)),
      ])
      blocks.unshift(table(heads('settings'), rows))
    }
    return blocks.join('\n\n')
  })
  const faulty = [report, ...report.files].some(({ faults }) => faults.length > 0)
  if (faulty) out.say('some of it has faults and is left out: provider-auth config check')
  else if (wanted === undefined && providers.length === 0)
    out.say('no provider is configured; the built-in ones: provider-auth config show --all')
}

/** A value on as many lines as it has items. */
function linesOf(value: unknown): string[] {
  return Array.isArray(value) && value.length > 0 ? value.map(shown) : [shown(value)]
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(', ') || '(empty)'
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .map(([key, part]) => `${visible(key)}: ${shown(part)}`)
      .join(', ')
  return visible(String(value)) || '(empty)'
}
