/** The JSON Schemas of the configuration files, as they lie in the package. */
import { join } from 'node:path'
import { packageFolder } from '../../npm/src/loader/home.js'

export function schemaFile(name: 'config' | 'oci-auth.config'): string {
  return join(packageFolder(), 'schemas', `${name}.schema.json`)
}
