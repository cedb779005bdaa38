/** What to do where a file, a folder or a variable stands in the way, by what the library says of it. */
import { basename } from 'node:path'

/** Says where the home folder is. */
export const HOME_VARIABLE = process.platform === 'win32' ? 'USERPROFILE' : 'HOME'

/** A fault of the configuration, as far as it says where it is. */
export interface Misplaced {
  message: string
  file?: string | undefined
  path?: string | undefined
}

/** A project's, and Oracle's: `config edit` opens neither. */
const OTHER_FILES = ['provider-auth.jsonc', 'oci-auth.config.jsonc']

/** What mends the configuration. */
export function mendConfig({ message, file, path = '' }: Misplaced): string {
  if (file === undefined) {
    if (/no home folder is known/.test(message))
      return `set ${HOME_VARIABLE} to your home folder, or PROVIDER_AUTH_DIR to a folder of your own`
    return /^[A-Z][A-Z_]+$/.test(path) ? `correct ${path}, or unset it` : 'provider-auth config edit'
  }
  if (/\bthe file cannot be read\b/.test(message)) return `make ${file} readable for this user, or move it away`
  if (/PROVIDER_AUTH_CONFIG names this file, and it does not exist/.test(message))
    return 'provider-auth config edit, which makes it; or correct PROVIDER_AUTH_CONFIG, or unset it'
  if (/\bnot a regular file$/.test(message)) return `move ${file} away, or name a file with PROVIDER_AUTH_CONFIG`
  return OTHER_FILES.includes(basename(file)) ? `mend ${file}` : 'provider-auth config edit'
}

/** The same where a call fails for it: whatever is mended by writing may have more faults. */
export function afterFault(fault: Misplaced): string {
  const step = mendConfig(fault)
  return /^(?:provider-auth config edit|mend .*)$/s.test(step)
    ? `provider-auth config check for every fault, then ${step}`
    : step
}

/** Where the system does not let the vault be read or written. */
export function afterRefusal(message: string): string {
  if (/no space left|disk full|not enough space|quota exceeded|os error (?:28|112|122)\b/i.test(message))
    return 'make room on the disk, and run the command again; provider-auth doctor tells how much is free'
  if (/read-only/i.test(message)) return 'name a folder that can be written with PROVIDER_AUTH_DIR'
  if (/not a (?:folder|directory)\b/i.test(message))
    return 'name another folder with PROVIDER_AUTH_DIR, or move away the file that is in its place'
  if (/belongs to another user/i.test(message))
    return 'name a folder of your own with PROVIDER_AUTH_DIR; or have its owner, or root, chown it to you'
  if (/not safe for a vault/i.test(message)) return 'provider-auth doctor --fix, which mends modes'
  if (/permission denied|access is denied/i.test(message))
    return 'name a folder of your own with PROVIDER_AUTH_DIR; or make this one yours and writable: provider-auth doctor --fix mends modes'
  return 'provider-auth doctor'
}
