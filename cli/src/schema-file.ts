/** The JSON Schemas of the configuration files, as they lie in the package. */
import { fileURLToPath } from 'node:url'

/** From `npm/dist/cli`, where the command is bundled to. */
export function schemaFile(name: 'config' | 'oci-auth.config'): string {
  return fileURLToPath(new URL(`../../../schemas/${name}.schema.json`, import.meta.url))
}
