/** `config schema`: the JSON Schema of a configuration file. */
import { readFileSync } from 'node:fs'
import type { Call } from '../run.js'
import { schemaFile } from '../schema-file.js'

export async function run({ options, out }: Call<{ oci?: boolean }>): Promise<void> {
  const text = readFileSync(schemaFile(options.oci ? 'oci-auth.config' : 'config'), 'utf8')
  out.answer({ schema: JSON.parse(text) }, text.trimEnd())
}
