/** `config path`: where the user's file lies, or every file that is looked for. */
import { shortPath, stateWords } from '../config.js'
import { fault } from '../faults.js'
import { inspectConfig } from '../library.js'
import { HOME_VARIABLE } from '../mending.js'
import type { Call } from '../run.js'
import { table } from '../table.js'

export async function run({ options, out }: Call<{ all?: boolean }>): Promise<void> {
  const { files } = await inspectConfig()
  if (options.all) {
    const places = files.map(({ kind, file, exists, state, why }) => ({
      kind,
      file,
      exists,
      state,
      ...(why !== undefined && { why }),
    }))
    out.answer({ files: places }, () =>
      table(
        [],
        files.map((file) => [shortPath(file.file), stateWords(file)]),
      ),
    )
    return
  }
  const file = files.find(({ kind }) => kind === 'user')?.file
  if (file === undefined)
    throw fault({
      message: 'there is no place for your configuration file',
      why: 'neither a home folder nor PROVIDER_AUTH_CONFIG is known',
      next: `set ${HOME_VARIABLE} to your home folder, or PROVIDER_AUTH_CONFIG to a file`,
    })
  out.answer({ file }, file)
}
